"""Design a loss beside your own training loop, then train a fresh network with it.

python examples/search_beside_a_training_loop.py
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autobalance import Counts, OnlineSearch, OnlineSettings, ParametricCrossEntropy, preset
from autobalance.data.longtail import digits_long_tailed

EPOCHS = 40


def a_network() -> nn.Module:
    """Fresh weights, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(
    loss: ParametricCrossEntropy,
    data: TensorDataset,
    search_on: DataLoader[tuple[torch.Tensor, ...]] | None = None,
) -> tuple[nn.Module, OnlineSearch | None]:
    """An ordinary loop, with a search beside it if there are held-out batches."""
    model = a_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(data, batch_size=64, shuffle=True)
    search = None
    if search_on is not None:
        settings = OnlineSettings(warm_up=len(loader) * EPOCHS // 3, every=4)
        search = OnlineSearch(
            model, loss, "balanced", search_on, settings=settings, trained_by=optimizer
        )
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            optimizer.step()
            if search is not None:
                search.step(inputs, targets)
    return model, search


def main() -> None:
    """Compare the loss that the search starts from with the one that it designs."""
    digits = digits_long_tailed(ratio=50.0)
    mean, scale = digits.train_features.mean(), digits.train_features.std()
    features = torch.from_numpy((digits.train_features - mean) / scale).float()
    test = torch.from_numpy((digits.test_features - mean) / scale).float()
    target = torch.from_numpy(digits.train_target).long()
    start = preset("logit-adjustment", Counts.from_codes(digits.train_target, None, range(10)))

    held_out = torch.arange(len(target)) % 4 == 0
    searched_on = TensorDataset(features[~held_out], target[~held_out])
    batches = DataLoader(TensorDataset(features[held_out], target[held_out]), batch_size=512)
    _, search = train(ParametricCrossEntropy.from_design(start), searched_on, batches)
    assert search is not None

    for name, design in (("logit adjustment", start), ("designed", search.design())):
        model, _ = train(
            ParametricCrossEntropy.from_design(design), TensorDataset(features, target)
        )
        with torch.no_grad():
            predicted = model(test).argmax(1).numpy()
        wrong = predicted != digits.test_target
        error = np.mean([wrong[digits.test_target == k].mean() for k in range(10)])
        print(f"{name:>16}: balanced test error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
