"""What everything that takes the course of a run has in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Takes figures, settings and files of one run.

    A :class:`~autobalance.tracking.course.Course` calls it. Whatever it raises costs the run
    nothing but this tracker. A class of your own needs these four methods and no base class.
    """

    def scalars(self, series: str, step: int, values: Mapping[str, float]) -> None:
        """Take the figures of one step.

        Parameters
        ----------
        series
            What the figures are of, such as ``"moves"``.
        step
            Grows within a series.
        values
            By name, the same names at every step of a series; NaN where there is none.
        """

    def parameters(self, values: Mapping[str, object]) -> None:
        """Take settings, each of which has one value in a run."""

    def artifact(self, path: Path) -> None:
        """Take a file, which may be gone afterwards."""

    def close(self, finished: bool = True) -> None:
        """Take note that the run is over, or that it broke off."""
