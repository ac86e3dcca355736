"""Small grouped data, and the loop that every library's own is compared with."""

from collections.abc import Iterable

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from autobalance import Counts, OnlineSearch, OnlineSettings, ParametricCrossEntropy, preset
from autobalance.batches import as_batch, forward

N_CLASSES, N_GROUPS, WIDTH = 3, 2, 4
SETTINGS = OnlineSettings(warm_up=4, every=3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Linear(8, N_CLASSES))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def examples(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, classes of which the last is rare, and groups."""
    draw = torch.Generator().manual_seed(seed)
    targets = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), n, True, generator=draw)
    groups = torch.randint(N_GROUPS, (n,), generator=draw)
    inputs = torch.randn(n, WIDTH, generator=draw)
    inputs[:, 0] += targets
    inputs[:, 1] += groups
    return inputs, targets, groups


def grouped_loss(data: TensorDataset) -> ParametricCrossEntropy:
    _, targets, groups = (part.numpy() for part in data.tensors)
    counts = Counts.from_codes(targets, groups, range(N_CLASSES), range(N_GROUPS))
    return ParametricCrossEntropy.from_design(preset("group-la", counts))


def plain_loop(
    model: nn.Module,
    loss: ParametricCrossEntropy,
    epochs: Iterable[Iterable[object]],
    held_out: object,
    objective: str = "group-balanced",
    accumulate: int = 1,
    optimizer: torch.optim.Optimizer | None = None,
) -> tuple[list[float], OnlineSearch]:
    """The loss of each batch, and the search beside; a step follows each ``accumulate`` batches."""
    optimizer = sgd(model) if optimizer is None else optimizer
    search = OnlineSearch(
        model, loss, objective, [held_out], settings=SETTINGS, trained_by=optimizer
    )
    losses = []
    for epoch in epochs:
        search.forget_batches()
        for place, item in enumerate(epoch, 1):
            batch = as_batch(item)
            value = loss(forward(model, batch), batch.targets, batch.groups)
            (value / accumulate).backward()
            losses.append(float(value.detach()))
            if place % accumulate:
                search.note(*batch)
            else:
                optimizer.step()
                optimizer.zero_grad()
                search.step(*batch)
    return losses, search


def same_moves(search: OnlineSearch | None, reference: OnlineSearch) -> None:
    assert search is not None
    assert len(search.history) == len(reference.history) > 1
    for move, expected in zip(search.history, reference.history, strict=True):
        assert move.iteration == expected.iteration
        assert not expected.refused
        assert move.alpha == pytest.approx(expected.alpha, abs=1e-6)
    assert abs(reference.alpha.vector).max() > 1e-2  # the loss has moved
