"""Held-out batches without end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from autobalance.batches import Batch, as_batch
from autobalance.errors import DataError


def is_whole(loader: Iterable[Any]) -> bool:
    """Whether every batch of a loader is all there is: a list of one, or one that says so."""
    one = isinstance(loader, Sequence) and len(loader) == 1
    return one or bool(getattr(loader, "whole", False))


class HeldOutStream:
    """A loader of held-out examples, read again and again.

    It draws from a random stream of its own, so that a search beside a training loop leaves the
    loop's draws alone.

    Parameters
    ----------
    loader
        Yields (inputs, targets) or (inputs, targets, groups).
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader
        self._round: Iterator[Any] = iter(())
        self._random = torch.Generator().get_state()

    @property
    def whole(self) -> bool:
        """Whether every batch is all there is."""
        return is_whole(self.loader)

    def take(self) -> Batch:
        """The next batch.

        Raises
        ------
        DataError
            If the loader yields nothing, or something else than labelled examples.
        """
        with torch.random.fork_rng([]):
            torch.set_rng_state(self._random)
            item = next(self._round, None)
            if item is None:
                self._round = iter(self.loader)
                item = next(self._round, None)
            self._random = torch.get_rng_state()
        if item is None:
            raise DataError("the held-out loader yields no batch; give it examples")
        return as_batch(item)

    def state_dict(self) -> dict[str, Any]:
        """The random stream, and the loader's own state; a loader without one begins anew."""
        own = getattr(self.loader, "state_dict", None)
        return {"held_out": None if own is None else own(), "random": self._random}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`; other entries are left alone."""
        if state["held_out"] is not None:
            self.loader.load_state_dict(state["held_out"])  # type: ignore[attr-defined]
        self._random = state["random"]
