"""Batches in a given order, on a device: from memory, or from a ``Dataset`` by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Integer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from autobalance.batches import Batch
from autobalance.training.examples import Examples, inputs_of


def load(
    examples: Examples,
    parts: Sequence[Integer[Tensor, "_"]],
    device: torch.device,
    workers: int = 0,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """The examples at the positions of each part, in order.

    Parameters
    ----------
    examples
        Only a ``Dataset`` is read by worker processes; batches of it are collated as torch's
        ``default_collate`` does, in pinned memory on their way to a GPU.
    parts
        Positions of each batch.
    device
        Where batches are wanted.
    workers
        Processes that read ahead; 0 reads in this one. They are started anew in each call and
        seeded from ``generator``: workers that outlive an epoch would have random streams that no
        checkpoint holds.
    generator
        Seeds workers, so that a ``Dataset`` that draws does so reproducibly.
    """
    if not isinstance(examples.inputs, Dataset):
        for part in parts:
            yield examples.batch(part).to(device)
        return
    loader: DataLoader[Any] = DataLoader(
        _Inputs(examples.inputs),
        batch_sampler=[part.tolist() for part in parts],
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator() if generator is None else generator,  # and no global one
    )
    # to a GPU at once: codes in pageable memory could make every batch wait for the one before it
    codes = examples.labelled((), torch.cat(list(parts))).to(device)
    sizes = [len(part) for part in parts]
    targets = torch.split(codes.targets, sizes)
    groups = [None] * len(parts) if codes.groups is None else torch.split(codes.groups, sizes)
    for inputs, y, g in zip(loader, targets, groups, strict=True):
        yield Batch(inputs, y, g).to(device)


class _Inputs(Dataset[Any]):
    """The inputs of a ``Dataset``'s items; targets may be of kinds that cannot be collated."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __getitem__(self, position: int) -> Any:
        return inputs_of(self._data[position])
