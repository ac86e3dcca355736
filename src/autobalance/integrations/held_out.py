"""Held-out batches for a search, from what a training library trains on: a Dataset or a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import IterableDataset

from autobalance.batches import Batch, as_batch
from autobalance.errors import DataError
from autobalance.search.stream import is_whole
from autobalance.training.examples import Examples
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import StratifiedBatches

Read = Callable[[Any], Any]
"""From a batch as it comes to (inputs, targets) or (inputs, targets, groups)."""
Collate = Callable[[list[Any]], Any]
"""From the items of a Dataset to a batch as it comes."""


class LoaderBatches:
    """The batches of a loader, read as the training batches are.

    Parameters
    ----------
    loader
        Read again and again; a list of one batch is the whole held-out set.
    read
        See :data:`Read`.
    """

    def __init__(self, loader: Iterable[Any], read: Read) -> None:
        self._loader, self._read = loader, read

    @property
    def whole(self) -> bool:
        """Whether a batch is everything there is."""
        return is_whole(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for item in self._loader:
            yield as_batch(self._read(item))

    def state_dict(self) -> dict[str, Any]:
        """The loader's own, if it has one."""
        own = getattr(self._loader, "state_dict", dict)
        return dict(own())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        if state:
            self._loader.load_state_dict(state)  # type: ignore[attr-defined]


class DatasetBatches:
    """Batches of a Dataset's items that show all (class, group) cells alike.

    Parameters
    ----------
    dataset
        Items by position; each is read once for its class and group.
    collate, read
        See :data:`Collate` and :data:`Read`.
    size
        Examples in a batch, about; a smaller Dataset is the batch every time.

    Raises
    ------
    DataError
        If the Dataset is empty or has no items by position.
    """

    def __init__(
        self, dataset: Any, collate: Collate, read: Read, size: int = SearchPlan.batch_size
    ) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
            raise DataError(
                f"the held-out examples are a {type(dataset).__name__}, which has no items by "
                "position; give a map-style Dataset"
            )
        if not len(dataset):
            raise DataError("the held-out Dataset is empty; give it examples")
        self._dataset, self._collate, self._read = dataset, collate, read
        every = torch.arange(len(dataset))
        batches = [self._at(positions) for positions in torch.split(every, size)]
        targets = torch.cat([batch.targets for batch in batches])
        groups = torch.cat([batch.group_codes for batch in batches])
        self._positions = StratifiedBatches(
            Examples.coded(every, targets, groups), every, size, seed=0
        )

    @property
    def whole(self) -> bool:
        """Whether a batch is everything there is."""
        return self._positions.whole

    def __iter__(self) -> Iterator[Batch]:
        for drawn in self._positions:
            yield self._at(drawn.inputs)

    def _at(self, positions: torch.Tensor) -> Batch:
        items = [self._dataset[position] for position in positions.tolist()]
        return as_batch(self._read(self._collate(items)))

    def state_dict(self) -> dict[str, Any]:
        """The random stream."""
        return self._positions.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._positions.load_state_dict(state)
