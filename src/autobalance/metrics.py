"""Figures that are no function of cell errors: macro-F1, PR-AUC and recall at a precision.

Their intervals come from the same resampling within cells as everything else
(:mod:`autobalance.bootstrap`), so the classes keep their shares, on which all three depend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from sklearn.metrics import average_precision_score, f1_score

from autobalance.bootstrap import (
    LEVEL,
    REPLICATES,
    Estimate,
    pivotal_estimate,
    resample_within_cells,
)
from autobalance.errors import DataError

_MAX_DRAWN_EXAMPLES = 10**8
_FEWEST_REPLICATES = 200
_EXAMPLES_AT_ONCE = 2**20


def macro_f1(
    y: Integer[ndarray, "N"],
    predicted: Integer[ndarray, "N"],
    cell: Integer[ndarray, "N"],
    *,
    sample_weight: Float[ndarray, "N"] | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    random_state: int = 0,
) -> Estimate:
    """Mean over classes of F1 = 2 TP / (examples + predictions), as scikit-learn computes it.

    Parameters
    ----------
    y, predicted
        True and predicted class codes. The classes that occur in either are averaged over.
    cell
        Code of each example's (class, group) cell: what is resampled within.
    sample_weight
        Weight of each example; ``None`` counts every example as one.
    replicates, level, random_state
        Bootstrap samples, coverage aimed at, and seed.
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    K = int(max(y.max(), predicted.max())) + 1
    true_positive, examples, predictions = np.zeros((3, K, replicates))
    # a cell lies within one class, so (class, prediction) is an outcome of the cell
    for drawn in resample_within_cells(cell, y * K + predicted, weight, replicates, random_state):
        true, chosen = np.divmod(drawn.outcome, K)
        mass = (drawn.times * drawn.weight).T
        np.add.at(examples[:, drawn.rows], true, mass)
        np.add.at(predictions[:, drawn.rows], chosen, mass)
        np.add.at(true_positive[:, drawn.rows], true[true == chosen], mass[true == chosen])
    present = np.union1d(y[weight > 0], predicted[weight > 0])
    total = (examples + predictions)[present]
    f1 = np.divide(2 * true_positive[present], total, out=np.zeros_like(total), where=total > 0)
    value = f1_score(y, predicted, average="macro", sample_weight=weight, zero_division=0.0)
    return pivotal_estimate(float(value), f1.mean(axis=0), level, 0.0, 1.0)


@dataclass(frozen=True)
class RankingQuality:
    """How well scores rank the positive class above the rest.

    Parameters
    ----------
    average_precision
        Area under the precision-recall curve as a step function (PR-AUC).
    recall_at_precision
        The largest recall at which the precision is at least ``precision``; 0 if none is.
    precision
        The precision stated.
    """

    average_precision: Estimate
    recall_at_precision: Estimate
    precision: float


def ranking_quality(
    positive: Bool[ndarray, "N"],
    score: Float[ndarray, "N"],
    cell: Integer[ndarray, "N"],
    precision: float,
    *,
    sample_weight: Float[ndarray, "N"] | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    random_state: int = 0,
) -> RankingQuality:
    """PR-AUC and recall at a stated precision, with intervals.

    Parameters
    ----------
    positive
        Which examples are of the positive class.
    score
        The larger, the more likely positive.
    cell
        Code of each example's (class, group) cell: what is resampled within.
    precision
        In (0, 1].
    sample_weight
        Weight of each example; ``None`` counts every example as one.
    replicates, level, random_state
        Bootstrap samples, coverage aimed at, and seed. Above 50,000 examples fewer samples are
        drawn (10^8 / N, at least 200): each costs a pass over all examples.

    Raises
    ------
    DataError
        If the precision is out of range, or there is no positive or no other example.
    """
    if not 0 < precision <= 1:
        raise DataError(f"the stated precision is {precision}; give a number above 0, at most 1")
    if positive.all() or not positive.any():
        raise DataError("a precision-recall curve needs positive examples and others")
    weight = np.ones(len(score)) if sample_weight is None else sample_weight
    order = np.argsort(-score, kind="stable")
    positive, score, cell, weight = positive[order], score[order], cell[order], weight[order]
    ties_end = np.flatnonzero(np.r_[np.diff(score) != 0, True])

    def curve_figures(mass: Float[ndarray, "R N"]) -> Float[ndarray, "2 R"]:
        found = np.cumsum(mass * positive, axis=1)[:, ties_end]
        ranked = np.cumsum(mass, axis=1)[:, ties_end]
        exact = np.divide(found, ranked, out=np.zeros_like(found), where=ranked > 0)
        area = (np.diff(found, axis=1, prepend=0) * exact).sum(axis=1)
        recalled = np.where(exact >= precision, found, 0).max(axis=1)
        figures: Float[ndarray, "2 R"] = np.stack([area, recalled]) / found[:, -1]
        return figures

    replicates = min(replicates, max(_FEWEST_REPLICATES, _MAX_DRAWN_EXAMPLES // len(score)))
    draws = np.concatenate(
        [
            curve_figures(times * weight)
            for times in _draw_examples(cell, replicates, np.random.default_rng(random_state))
        ],
        axis=1,
    )
    area = average_precision_score(positive, score, sample_weight=weight)
    recall = curve_figures(weight[None])[1, 0]
    return RankingQuality(
        pivotal_estimate(float(area), draws[0], level, 0.0, 1.0),
        pivotal_estimate(float(recall), draws[1], level, 0.0, 1.0),
        precision,
    )


def _draw_examples(
    cell: Integer[ndarray, "N"], replicates: int, rng: np.random.Generator
) -> Iterator[Float[ndarray, "R N"]]:
    """How often each example is drawn within its cell, some replicates at a time."""
    members = np.split(np.argsort(cell, kind="stable"), np.flatnonzero(np.diff(np.sort(cell))) + 1)
    step = max(1, _EXAMPLES_AT_ONCE // len(cell))
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = np.concatenate(
            [each[rng.integers(len(each), size=(rows, len(each)))] for each in members], axis=1
        )
        drawn += np.arange(rows)[:, None] * len(cell)
        times = np.bincount(drawn.ravel(), minlength=rows * len(cell))
        yield times.reshape(rows, len(cell)).astype(np.float64)
