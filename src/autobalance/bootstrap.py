"""Resampling of examples within cells, and the intervals that come from it.

Every figure of an evaluation is resampled **within** the (class, group) cells: each replicate draws
as many examples of a cell, with replacement, as the cell holds. A rare cell can then never come out
empty, which would leave most objectives undefined, and the interval speaks about the question asked
of an imbalanced test set: how well are these cells estimated, given how many examples each has.
Resampling the whole set would add the chance variation of the cells' sizes, which the objectives
condition on (their frequencies are fixed).

Examples of a cell that share an outcome and a weight are interchangeable, so a replicate of a cell
is one multinomial draw over its distinct outcomes: for a 0/1 error without weights a binomial draw,
whatever the number of examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped
from numpy import ndarray

REPLICATES = 2000
"""Bootstrap replicates: the ends of a 95% interval then move by a few percent of its width."""
LEVEL = 0.95
"""Coverage that intervals aim at."""
_MAX_DRAWS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> list[float]:
        """``[low, high]``, as the metrics file holds it."""
        return [self.low, self.high]


@dataclass(frozen=True)
class CellDraws:
    """Replicates of one cell: how often each of its distinct outcomes was drawn.

    Parameters
    ----------
    cell
        Which cell.
    rows
        Which replicates these are.
    outcome, weight
        Shape (P,): the distinct outcomes with their weights.
    times
        Shape (R, P): how often each was drawn.
    """

    cell: int
    rows: slice
    outcome: Integer[ndarray, "P"]
    weight: Float[ndarray, "P"]
    times: Int[ndarray, "R P"]


def resample_within_cells(
    cell: Integer[ndarray, "N"],
    outcome: Integer[ndarray, "N"],
    weight: Float[ndarray, "N"],
    replicates: int,
    random_state: int,
) -> Iterator[CellDraws]:
    """Draw ``replicates`` bootstrap samples of every cell that has an example of positive weight.

    Parameters
    ----------
    cell
        Code of each example's cell.
    outcome
        Code of what happened to it: whether it was misclassified, by which methods, or as what.
    weight
        Weight of each example; those of weight 0 are left out.
    replicates
        Number of bootstrap samples.
    random_state
        Seed; the same seed gives the same draws.
    """
    rng = np.random.default_rng(random_state)
    kept = np.flatnonzero(weight > 0)
    order = kept[np.lexsort((weight[kept], outcome[kept], cell[kept]))]
    cell, outcome, weight = cell[order], outcome[order], weight[order]
    differs = (np.diff(cell) != 0) | (np.diff(outcome) != 0) | (np.diff(weight) != 0)
    first = np.flatnonzero(np.r_[len(cell) > 0, differs])
    examples = np.diff(np.r_[first, len(cell)])
    cell, outcome, weight = cell[first], outcome[first], weight[first]
    for members in np.split(np.arange(len(cell)), np.flatnonzero(np.diff(cell)) + 1):
        if len(members) == 0:
            continue
        size = int(examples[members].sum())
        share = examples[members] / size
        step = max(1, _MAX_DRAWS_AT_ONCE // len(members))
        for start in range(0, replicates, step):
            rows = slice(start, min(start + step, replicates))
            times = rng.multinomial(size, share, size=rows.stop - rows.start)
            yield CellDraws(int(cell[members[0]]), rows, outcome[members], weight[members], times)


def draw_cell_means(
    values: Bool[ndarray, "M N"] | Float[ndarray, "M N"],
    cell: Integer[ndarray, "N"],
    n_cells: int,
    weight: Float[ndarray, "N"],
    replicates: int = REPLICATES,
    random_state: int = 0,
) -> Float[ndarray, "M R C"]:
    """Bootstrap replicates of the cells' errors or mean costs of M methods on the same examples.

    The methods share each replicate's examples (what is resampled is the *pattern* of who was
    wrong, or of what their decisions cost), so differences between them are paired. Cells without
    examples are NaN.

    Parameters
    ----------
    values
        Which method misclassified which example, or what its decision cost.
    cell, n_cells
        Code of each example's cell, in [0, n_cells).
    weight
        Weight of each example; an error is the weighted share of the wrong ones.
    replicates, random_state
        Number of replicates and seed.
    """
    pattern, first = _patterns(values)
    means = np.full((len(values), replicates, n_cells), np.nan)
    for drawn in resample_within_cells(cell, pattern, weight, replicates, random_state):
        mass = values[:, first[drawn.outcome]].T * drawn.weight[:, None]
        totals = drawn.times @ drawn.weight
        means[:, drawn.rows, drawn.cell] = ((drawn.times @ mass) / totals[:, None]).T
    return means


def _patterns(
    values: Shaped[ndarray, "M N"],
) -> tuple[Integer[ndarray, "N"], Integer[ndarray, "P"]]:
    """A code for each distinct column, in the order of the last row first, and where it occurs."""
    code, first = np.zeros(values.shape[1], dtype=np.int64), np.zeros(1, dtype=np.int64)
    for row in values[::-1]:
        known, rank = np.unique(row, return_inverse=True)
        _, first, code = np.unique(code * len(known) + rank, return_index=True, return_inverse=True)
    return code, first


def pivotal_estimate(
    value: float,
    draws: Float[ndarray, "R"],
    level: float = LEVEL,
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> Estimate:
    """The pivotal ("basic") bootstrap interval of a figure: [2v - q_high, 2v - q_low].

    Objectives take maxima and differences of noisy cells, and every resample adds noise for the
    maximum to pick from: its draws lie above the value just as the value lies above the truth. The
    percentiles of the draws then count that bias twice, where the pivotal interval takes it out:
    for the largest of 26 cells of 50 examples the percentiles cover the truth in 16% of simulated
    runs and the pivotal interval in 94%, while for means both are near 95%
    (Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 5.2).

    Parameters
    ----------
    value
        The figure on the examples themselves. The interval is widened to hold it if need be, which
        happens only where the bias is as large as the interval.
    draws
        The figure on each replicate.
    level
        Coverage aimed at.
    lowest, highest
        Bounds of what the figure can be.
    """
    tail = (1 - level) / 2
    low, high = 2 * value - np.quantile(draws, [1 - tail, tail])
    low, high = np.clip([min(low, value), max(high, value)], lowest, highest)
    return Estimate(float(value), float(low), float(high))


def error_intervals(
    errors: Float[ndarray, "*cells"],
    draws: Float[ndarray, "R *cells"],
    effective_size: Float[ndarray, "*cells"],
    level: float = LEVEL,
) -> Float[ndarray, "*cells 2"]:
    """Percentile intervals of error rates; NaN where there is no error rate.

    A cell in which everything was right (or wrong) has nothing to resample, and its percentiles
    would claim certainty after three examples. There the exact binomial bound is used: with n
    examples and no error, the error may be as large as 1 - (α/2)^(1/n), about 3.7/n for 95%
    (Clopper and Pearson, *Biometrika* 26, 1934).

    Parameters
    ----------
    errors
        The error rates.
    draws
        Replicates of them.
    effective_size
        Examples behind each rate; with weights, Kish's (Σw)²/Σw².
    level
        Coverage aimed at.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    bound = tail ** (1 / np.maximum(effective_size, 1))
    return np.stack(
        [np.where(errors == 1, bound, low), np.where(errors == 0, 1 - bound, high)], axis=-1
    )
