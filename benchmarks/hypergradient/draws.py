"""Random batches: what a method sees of the examples at one moment of a training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from autobalance.batches import Batch


class Draw(NamedTuple):
    """The batches of one moment; a method uses as many of the training batches as it does.

    ``stratified`` is one held-out batch with as many examples of each class as there are, up to an
    equal share; ``uniform`` are batches drawn from all held-out examples alike.
    """

    training: list[Batch]
    stratified: Batch
    uniform: list[Batch]


def draw(train: Batch, held_out: Batch, seed: int, batch: int, batches: int, stratum: int) -> Draw:
    """Draw ``batches`` of size ``batch`` of either kind, and a stratified one of ``stratum``."""
    generator = torch.Generator().manual_seed(seed)

    def uniformly(examples: Batch) -> list[Batch]:
        n = len(examples.targets)
        return [
            at(examples, torch.randint(n, (batch,), generator=generator)) for _ in range(batches)
        ]

    training = uniformly(train)
    rows = stratified_rows(held_out.targets.cpu(), stratum, generator)
    return Draw(training, at(held_out, rows), uniformly(held_out))


def stratified_rows(targets: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Rows of a stratified batch: classes take turns, and who has no more examples is passed."""
    order = torch.randperm(len(targets), generator=generator)
    turn = torch.empty_like(order)
    for k in targets.unique():
        own = order[targets[order] == k]
        turn[own] = torch.arange(len(own))
    return order[turn[order].argsort(stable=True)][:size]


def at(examples: Batch, rows: Tensor) -> Batch:
    """The examples in these rows."""
    rows = rows.to(examples.targets.device)
    return Batch(examples.inputs[rows], examples.targets[rows])
