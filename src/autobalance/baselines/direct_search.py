"""Searches without derivatives over a few strengths: on a grid, or from coarse to fine steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

TOLERANCE = 1e-4
"""Gain that counts as none, in errors or nats: far below what held-out examples can tell apart."""
_HALVINGS = 2
_DIGITS = 9

Kept = TypeVar("Kept")
Values = Mapping[str, float]
Evaluate = Callable[[Values, Kept | None], tuple[float, Kept]]
"""Given values by name and what was kept of the best ones so far (``None`` at first): what they are
worth, where less is better, and what to keep of them should they be the best."""


@dataclass(frozen=True)
class Strength:
    """A number to tune: where the search starts, its first step and its range.

    The step is a factor, as fits a number of unknown magnitude, unless ``additive``.
    """

    start: float
    step: float
    low: float
    high: float
    additive: bool = False

    @classmethod
    def fixed(cls, value: float) -> Strength:
        """A number that is not tuned."""
        return cls(value, 1.0, value, value)

    def moved(self, value: float, steps: float) -> float:
        """The value so many steps on, at the end of the range at most."""
        moved = value + self.step * steps if self.additive else value * self.step**steps
        return min(max(moved, self.low), self.high)


@dataclass(frozen=True)
class BestPoint(Generic[Kept]):
    """The best values seen, what they were worth, what was kept of them; how many were tried."""

    values: dict[str, float]
    worth: float
    kept: Kept
    evaluations: int


def compass_search(evaluate: Evaluate[Kept], strengths: Mapping[str, Strength]) -> BestPoint[Kept]:
    """Minimise over the strengths, to a quarter of each first step.

    From the best point so far one strength at a time is moved up and down, on and on as long as
    that helps; when no move does, all steps are halved (Kolda, Lewis and Torczon, "Optimization by
    direct search", *SIAM Review* 45, 2003). No point is tried twice, and nothing is drawn.
    """
    values = {name: strength.start for name, strength in strengths.items()}
    worth, kept = evaluate(values, None)
    tried = {_rounded(values)}
    for halved in range(_HALVINGS + 1):
        moved = True
        while moved:
            moved = False
            for name, steps in itertools.product(strengths, (0.5**halved, -(0.5**halved))):
                while True:
                    trial = values | {name: strengths[name].moved(values[name], steps)}
                    if _rounded(trial) in tried:
                        break
                    tried.add(_rounded(trial))
                    trial_worth, trial_kept = evaluate(trial, kept)
                    if not trial_worth < worth - TOLERANCE:
                        break
                    values, worth, kept, moved = trial, trial_worth, trial_kept, True
    return BestPoint(values, worth, kept, len(tried))


def grid_search(evaluate: Evaluate[Kept], grid: Mapping[str, Sequence[float]]) -> BestPoint[Kept]:
    """Minimise over all combinations of the grid's values; the first of equals is taken."""
    points = [dict(zip(grid, point, strict=True)) for point in itertools.product(*grid.values())]
    values = points[0]
    worth, kept = evaluate(values, None)
    for trial in points[1:]:
        trial_worth, trial_kept = evaluate(trial, kept)
        if trial_worth < worth:
            values, worth, kept = trial, trial_worth, trial_kept
    return BestPoint(values, worth, kept, len(points))


def _rounded(values: Values) -> tuple[float, ...]:
    """Values up to rounding, which differs with the way that led to them."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.values())
