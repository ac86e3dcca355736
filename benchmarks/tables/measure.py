"""Errors of predicted codes, and paired differences with their standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy import ndarray
from scipy.stats import norm

from autobalance.bootstrap import LEVEL
from autobalance.counts import Counts
from autobalance.evaluation import cell_codes, cell_errors
from autobalance.objectives import BoundObjective, Objective
from autobalance.paired import mean_paired_difference

_STANDARD_ERRORS = 2 * float(norm.ppf((1 + LEVEL) / 2))
"""Width of an interval in standard errors."""


def error(objective: BoundObjective, y: ndarray, g: ndarray, predicted: ndarray) -> float:
    """The objective's error rate, as a fraction; cells without an example do not count."""
    K, G = objective.present.shape
    shares = np.bincount(cell_codes(y, g, K, G), minlength=K * G).reshape(K, G) / len(y)
    return objective.error(cell_errors(y, predicted, g, K, G), shares)


@dataclass(frozen=True)
class Difference:
    """How much larger one error is than another, and the standard error of that."""

    value: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Examples held out, and what every method predicted for them in each of several runs.

    ``y`` and ``g`` have shape (N,), the predictions (runs, N).
    """

    y: ndarray
    g: ndarray
    predicted: dict[str, ndarray]

    @cached_property
    def counts(self) -> Counts:
        """Examples per cell."""
        groups = tuple(range(int(self.g.max()) + 1)) if self.g.any() else None
        return Counts.from_codes(
            self.y,
            None if groups is None else self.g,
            tuple(range(int(self.y.max()) + 1)),
            groups,
        )

    def error(self, objective: str, method: str) -> float:
        """The error rate of a method, mean over the runs."""
        bound = self._bind(objective)
        return float(
            np.mean([error(bound, self.y, self.g, codes) for codes in self.predicted[method]])
        )

    def difference(self, objective: str, method: str, other: str) -> Difference:
        """Error of ``method`` minus that of ``other``, resampled together within the cells."""
        estimate = mean_paired_difference(
            self._bind(objective),
            self.counts,
            self.y,
            self.g,
            self.predicted[method],
            self.predicted[other],
        )
        return Difference(estimate.value, (estimate.high - estimate.low) / _STANDARD_ERRORS)

    def _bind(self, objective: str) -> BoundObjective:
        return Objective.parse(objective).bind(self.counts, "drop")


def same_examples(runs: Sequence[HeldOut]) -> HeldOut:
    """Runs that predict the same examples, such as a test split, side by side."""
    return HeldOut(runs[0].y, runs[0].g, _joined(runs, axis=0))


def different_examples(runs: Sequence[HeldOut]) -> HeldOut:
    """Runs that hold out different examples, such as outer folds, pooled into one."""
    return HeldOut(
        np.concatenate([run.y for run in runs]),
        np.concatenate([run.g for run in runs]),
        _joined(runs, axis=1),
    )


def _joined(runs: Sequence[HeldOut], axis: int) -> dict[str, ndarray]:
    return {
        method: np.concatenate([run.predicted[method] for run in runs], axis)
        for method in runs[0].predicted
    }
