"""Random batches: what a method sees of the examples at one moment of a training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from autobalance.batches import Batch
from autobalance.training.examples import Examples
from autobalance.training.sampling import StratifiedBatches


class Draw(NamedTuple):
    """The batches of one moment; a method uses as many of the training batches as it does.

    ``stratified`` is one held-out batch as the search takes it; ``uniform`` are batches drawn from
    all held-out examples alike.
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
    codes = held_out.targets.cpu()
    examples = Examples(held_out.inputs, codes, None, tuple(codes.unique().tolist()))
    strata = StratifiedBatches(examples, torch.arange(len(codes)), stratum, seed)
    stratified = next(iter(strata)).to(held_out.targets.device)
    return Draw(training, stratified, uniformly(held_out))


def at(examples: Batch, rows: Tensor) -> Batch:
    """The examples in these rows."""
    rows = rows.to(examples.targets.device)
    return Batch(examples.inputs[rows], examples.targets[rows])
