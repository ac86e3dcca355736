"""Design a loss beside your own training loop, then train a fresh network with it.

python examples/plain_pytorch.py

`train_and_search` is `train` and a few more lines; `autobalance` needs no others.
"""

import digits
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from autobalance import LossDesign, OnlineSearch, OnlineSettings, ParametricCrossEntropy, preset

EPOCHS = 30
BATCH = 64
SETTINGS = OnlineSettings(warm_up=100, every=5)


def train(data: TensorDataset, design: LossDesign) -> tuple[nn.Module, list[Tensor]]:
    """An ordinary loop, and the loss of each step."""
    model = digits.a_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(data, BATCH, shuffle=True, generator=torch.Generator().manual_seed(0))
    loss = ParametricCrossEntropy.from_design(design)
    losses = []
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            value = loss(model(inputs), targets)
            value.backward()
            optimizer.step()
            losses.append(value.detach())
    return model, losses


def train_and_search(
    data: TensorDataset, design: LossDesign, held_out: TensorDataset
) -> tuple[OnlineSearch, list[Tensor]]:
    """The same loop with a search beside it."""
    model = digits.a_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(data, BATCH, shuffle=True, generator=torch.Generator().manual_seed(0))
    loss = ParametricCrossEntropy.from_design(design)
    held_out_batch = [held_out.tensors]
    search = OnlineSearch(
        model, loss, "balanced", held_out_batch, settings=SETTINGS, trained_by=optimizer
    )
    losses = []
    for _ in range(EPOCHS):
        search.forget_batches()  # so that a run could be resumed here
        for inputs, targets in loader:
            optimizer.zero_grad()
            value = loss(model(inputs), targets)
            value.backward()
            optimizer.step()
            search.step(inputs, targets)
            losses.append(value.detach())
    return search, losses


def main() -> None:
    """Compare the loss that the search starts from with the one that it designs."""
    data = digits.load()
    start = preset("logit-adjustment", data.counts)
    search, _ = train_and_search(data.train, start, data.held_out)
    for name, design in (("logit adjustment", start), ("designed", search.design())):
        model, _ = train(data.everything, design)
        print(f"{name:>16}: {data.balanced_error(model)}")


if __name__ == "__main__":
    main()
