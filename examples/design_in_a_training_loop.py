"""Design a loss on fixed features, then train a network of your own with it.

python examples/design_in_a_training_loop.py
"""

import numpy as np
import torch
from torch import nn

from autobalance import AutoBalanceClassifier, ParametricCrossEntropy, objective_error
from autobalance.data.longtail import digits_long_tailed


def train(criterion: nn.Module, features: torch.Tensor, target: torch.Tensor) -> nn.Module:
    """An ordinary loop: the loss is the only thing that changes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(300):
        optimizer.zero_grad()
        criterion(model(features), target).backward()
        optimizer.step()
    return model


def main() -> None:
    """Compare plain cross-entropy with the designed loss on the balanced test digits."""
    digits = digits_long_tailed(ratio=50.0)
    mean, scale = digits.train_features.mean(), digits.train_features.std()
    x_train = (digits.train_features - mean) / scale
    x_test = (digits.test_features - mean) / scale

    search = AutoBalanceClassifier("balanced", random_state=0).fit(x_train, digits.train_target)
    losses = {
        "cross-entropy": nn.CrossEntropyLoss(),
        "designed": ParametricCrossEntropy.from_design(search.design_),
    }
    features = torch.from_numpy(x_train).float()
    target = torch.from_numpy(digits.train_target).long()
    for name, criterion in losses.items():
        model = train(criterion, features, target)
        with torch.no_grad():
            predicted = model(torch.from_numpy(x_test).float()).argmax(1).numpy()
        error = objective_error(np.asarray(digits.test_target), predicted, objective="balanced")
        print(f"{name:>14}: balanced test error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
