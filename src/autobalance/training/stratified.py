"""Batches that show all cells alike, as positions: for a ``DataLoader``, or any loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, Shaped
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Sampler

from autobalance.errors import DataError
from autobalance.ranks import Ranks


class StratifiedBatchSampler(Sampler[list[int]]):
    """Positions of batches that show all (class, group) cells alike.

    Each cell gives the same number of examples, drawn without repetition, or all it has; with more
    cells than the batch holds, a fresh random subset of the cells gives one each. Uniform batches
    would leave the rare cells, which matter most, with one or two examples.

    Under data parallelism all ranks draw the same batches, and each yields its share of every cell:
    together they show what one process would::

        loader = DataLoader(data, batch_sampler=StratifiedBatchSampler(targets, groups, 256))

    Parameters
    ----------
    targets, groups
        Labels or codes of class and group, each of shape (N,); ``groups`` is ``None`` without.
    size
        Examples in a batch of all ranks, about.
    seed
        Of the draws, the same on all ranks.
    ranks
        Who shares the batches; by default those of
        :func:`~autobalance.ranks.across_ranks`, or else of the process group of
        ``torch.distributed`` if there is one.

    Raises
    ------
    DataError
        If there is no example, lengths differ, or the size is below 1.
    """

    def __init__(
        self,
        targets: Any,
        groups: Any = None,
        size: int = 256,
        seed: int = 0,
        ranks: Ranks | None = None,
    ) -> None:
        labels = [np.asarray(each) for each in (targets, groups) if each is not None]
        shapes = {each.shape for each in labels}
        if len(shapes) != 1 or labels[0].ndim != 1 or not len(labels[0]):
            raise DataError(
                f"targets and groups have the shapes {', '.join(map(str, sorted(shapes)))}; give "
                "one label of each for every example"
            )
        if size < 1:
            raise DataError(f"size is {size}; use a whole number, at least 1")
        cells = np.unique(np.stack([_codes(each) for each in labels]), axis=1, return_inverse=True)[
            1
        ]
        self._draws = CellDraws(cells, np.arange(len(cells)), size, seed)
        self._ranks = Ranks.of_world() if ranks is None else ranks
        self._batches = math.ceil(len(cells) / size)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self._batches):
            yield self._ranks.part(self._draws()).tolist()


def _codes(labels: Shaped[ndarray, "N"]) -> Integer[ndarray, "N"]:
    return np.asarray(np.unique(labels, return_inverse=True)[1])


class CellDraws:
    """Random positions, as many from each cell, or a random subset of the cells.

    Parameters
    ----------
    cells, index
        Code of the cell of each example, and the examples to draw from, by position.
    size, seed
        Examples at a time, about, and the seed of the draws.
    """

    def __init__(
        self, cells: Integer[ndarray, "N"], index: Integer[ndarray, "M"], size: int, seed: int
    ) -> None:
        self._size = size
        self.generator = torch.Generator().manual_seed(seed)
        order = np.argsort(cells[index], kind="stable")
        starts = np.flatnonzero(np.diff(cells[index][order], prepend=-1))
        self._members: list[ndarray] = np.split(index[order], starts[1:])

    def __call__(self) -> Integer[Tensor, "B"]:
        """The next ones, cell by cell."""
        members = self._members
        if len(members) > self._size:
            chosen = torch.randperm(len(members), generator=self.generator)[: self._size]
            members = [members[int(cell)] for cell in chosen]
        each = self._size // len(members)
        parts = [
            cell[torch.randperm(len(cell), generator=self.generator)[:each].numpy()]
            for cell in members
        ]
        return torch.from_numpy(np.concatenate(parts))
