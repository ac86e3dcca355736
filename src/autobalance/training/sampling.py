"""Which examples make up a batch, from random streams that a checkpoint can hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor
from torch.utils.data import Dataset

from autobalance.batches import Batch
from autobalance.errors import DataError
from autobalance.ranks import current_ranks
from autobalance.training.augment import Augmentation
from autobalance.training.examples import Examples
from autobalance.training.loading import load
from autobalance.training.origin import described
from autobalance.training.stratified import CellDraws

_AUGMENTATION = 2**32
"""Between the seeds of orders and of augmentation."""


class ShuffledBatches:
    """Every example once an epoch, in a new order each time.

    An incomplete batch at the end is kept, unless it holds a single example, which BatchNorm
    cannot train on. Several ranks make the same batches, and each yields its part of them, with
    draws of its own for what changes it.

    Parameters
    ----------
    examples, index
        The examples at these positions.
    size
        Examples in a batch.
    seed
        Of the orders.
    augment
        Changes the images of each batch.
    workers
        Processes that read a ``Dataset`` ahead; see :func:`~autobalance.training.loading.load`.
    device
        Where batches of a ``Dataset`` go; by default, and for others, they stay on the inputs'.

    Raises
    ------
    DataError
        If there is something to augment but the inputs are no tensor.
    """

    def __init__(
        self,
        examples: Examples,
        index: Integer[Tensor, "M"],
        size: int,
        seed: int,
        augment: Augmentation | None = None,
        workers: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self._examples, self._index, self._size = examples, index, size
        self._generator = torch.Generator().manual_seed(seed)
        self._augment, self._workers = augment, workers
        in_memory = not isinstance(examples.inputs, Dataset)
        self._device = examples.device if in_memory or device is None else device
        self._ranks = current_ranks()
        # not the seed of the orders, whose draws these would repeat
        own = self._ranks.own_seed(seed + _AUGMENTATION)
        self._draws = torch.Generator(self._device).manual_seed(own)

    @property
    def origin(self) -> str:
        """Which examples these are, how many make a batch, what changes them, and the seed."""
        index = self._index.numpy()
        digest = hashlib.sha256(np.stack([index, self._examples.cells[index]]).tobytes())
        text = f"{digest.hexdigest()[:16]} by {self._size} from {self._generator.initial_seed()}"
        if self._augment is None:
            return text
        return f"{text} with {described(self._augment)} on {self._draws.device.type}"

    @property
    def inputs_digest(self) -> str:
        """Digest of all inputs, as far as they are in memory."""
        return self._examples.inputs_digest

    def __len__(self) -> int:
        whole, rest = divmod(len(self._index), self._size)
        return whole + (rest > 1 or whole == 0)

    @property
    def shares(self) -> list[float]:
        """Which part of the examples of each batch of an epoch is this rank's."""
        rest = len(self._index) - self._size * (len(self) - 1)
        sizes = [self._size] * (len(self) - 1) + [min(rest, self._size)]
        return [self._ranks.part_of(size) for size in sizes]

    def __iter__(self) -> Iterator[Batch]:
        # to a GPU at once, and not batch by batch
        index = self._index[self._order()].to(self._examples.device)
        parts = [self._ranks.part(part) for part in torch.split(index, self._size)[: len(self)]]
        seeds = torch.Generator()
        seeds.set_state(self._generator.get_state())  # the order is that of any number of workers
        for batch in load(self._examples, parts, self._device, self._workers, seeds):
            yield self._augmented(batch)

    def _order(self) -> Integer[Tensor, "M"]:
        """Places in the index, in the order in which an epoch shows them."""
        return torch.randperm(len(self._index), generator=self._generator)

    def _augmented(self, batch: Batch) -> Batch:
        if self._augment is None:
            return batch
        if not isinstance(batch.inputs, Tensor):
            raise DataError(
                f"the inputs are a {type(batch.inputs).__name__} but an augmentation takes one "
                "tensor of images; leave it out"
            )
        return batch._replace(inputs=self._augment(batch.inputs, self._draws))

    def state_dict(self) -> dict[str, Any]:
        """The random streams, between two epochs."""
        draws = None if self._augment is None else self._draws.get_state()
        return {"generator": self._generator.get_state(), "augment": draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._generator.set_state(state["generator"])
        if self._augment is not None:
            self._draws.set_state(state["augment"])


class StratifiedBatches:
    """Batches without end that show all (class, group) cells alike.

    They are drawn as those of
    :class:`~autobalance.training.stratified.StratifiedBatchSampler`, and several ranks share them
    in the same way.

    Parameters
    ----------
    examples, index
        The examples at these positions.
    size
        Examples in a batch, about. A part that has no more is the batch every time.
    seed
        Of the draws.
    """

    def __init__(
        self, examples: Examples, index: Integer[Tensor, "M"], size: int, seed: int
    ) -> None:
        self._examples, self._index, self._size = examples, index, size
        self._draws = CellDraws(examples.cells, np.asarray(index.numpy()), size, seed)
        self._ranks = current_ranks()

    @property
    def whole(self) -> bool:
        """Whether a batch is everything there is."""
        return len(self._index) <= self._size

    def __iter__(self) -> Iterator[Batch]:
        while True:
            index = self._index if self.whole else self._draws()
            yield self._examples.batch(self._ranks.part(index))

    def state_dict(self) -> dict[str, Any]:
        """The random stream."""
        return {"generator": self._draws.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._draws.generator.set_state(state["generator"])
