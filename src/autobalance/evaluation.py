"""From predicted codes to error rates per class and cell, and to every objective's error twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.bootstrap import (
    LEVEL,
    REPLICATES,
    Estimate,
    draw_cell_means,
    error_intervals,
    pivotal_estimate,
)
from autobalance.counts import Counts
from autobalance.errors import DataError, ObjectiveError
from autobalance.labels import Label
from autobalance.objectives import OBJECTIVES, BoundObjective, Objective
from autobalance.rows import Row, by_cell

_OVER_GROUPS = ("group-balanced", "worst-group")


def cell_codes(
    y: Integer[ndarray, "N"], g: Integer[ndarray, "M"] | None, K: int, G: int
) -> Integer[ndarray, "N"]:
    """Code ``y * G + g`` of each example's (class, group) cell.

    Raises
    ------
    DataError
        If lengths differ or a code is out of range.
    """
    for kind, codes, size in (("class", y, K), ("group", g, G)):
        if codes is None:
            continue
        if len(codes) != len(y):
            raise DataError(f"there are {len(y)} class codes but {len(codes)} {kind} codes")
        outside = (codes < 0) | (codes >= size)
        if outside.any():
            at = int(outside.argmax())
            raise DataError(f"{kind} code {codes[at]} of example {at} is not in 0..{size - 1}")
    return y.astype(np.int64) * G + (0 if g is None else g)


def cell_errors(
    y: Integer[ndarray, "N"],
    predicted: Integer[ndarray, "P"],
    g: Integer[ndarray, "M"] | None,
    K: int,
    G: int,
    sample_weight: Float[ndarray, "W"] | None = None,
) -> Float[ndarray, "K G"]:
    """Weighted share of misclassified examples of every cell; NaN for a cell without any.

    Parameters
    ----------
    y, predicted
        True and predicted class codes in [0, K).
    g
        Group codes in [0, G), or ``None`` without groups (then G is 1).
    K, G
        Number of classes and of groups.
    sample_weight
        Weight of each example; ``None`` counts every example as one.

    Raises
    ------
    DataError
        If lengths differ or a code is out of range.
    """
    _check_length(y, predicted)
    wrong = (predicted != y).astype(np.float64)
    return cell_means(wrong, cell_codes(y, g, K, G), _weights(y, sample_weight), K, G)


def class_errors(
    errors: Float[ndarray, "*draws K G"], frequencies: Float[ndarray, "K G"]
) -> Float[ndarray, "*draws K"]:
    """Error of each class over all its groups, weighted by the cells' frequencies.

    Empty cells (NaN) do not count; a class with no other cell is NaN.
    """
    share = np.where(np.isnan(errors), 0.0, frequencies)
    total = share.sum(axis=-1)
    wrong = (share * np.nan_to_num(errors)).sum(axis=-1)
    return _share(wrong, total)


def measurable_objectives(
    counts: Counts, positive_class: Label | None = None
) -> dict[str, BoundObjective]:
    """Every named objective that says something about these counts, by name.

    Objectives over groups need groups (without any, two of them would repeat the ones over classes)
    and equal opportunity needs a positive class; those that lack theirs are left out. Empty cells
    do not count.
    """
    bound = {}
    for name in OBJECTIVES:
        if counts.groups is None and name in _OVER_GROUPS:
            continue
        try:
            objective = Objective.parse(name, positive_class=positive_class)
            bound[name] = objective.bind(counts, empty_cells="drop")
        except ObjectiveError:
            continue
    return bound


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one method gets wrong on a set of examples, and how sure that is.

    Parameters
    ----------
    objective
        The error twin of the objective asked for, or the mean cost.
    summary
        The error twin of every objective that the data support, by name.
    cell_errors, cell_intervals
        Shapes (K, G) and (K, G, 2); NaN for cells without examples.
    class_errors, class_intervals
        Shapes (K,) and (K, 2); NaN for classes without examples.
    cell_costs, class_costs
        Shapes (K, G) and (K,), what decisions cost on average, if the objective is about costs.
    """

    objective: Estimate
    summary: Mapping[str, Estimate]
    cell_errors: Float[ndarray, "K G"]
    cell_intervals: Float[ndarray, "K G 2"]
    class_errors: Float[ndarray, "K"]
    class_intervals: Float[ndarray, "K 2"]
    cell_costs: Float[ndarray, "K G"] | None = None
    class_costs: Float[ndarray, "K"] | None = None

    def row(self, counts: Counts) -> Row:
        """The error rates to watch."""
        return {
            "objective": self.objective.value,
            **{name: estimate.value for name, estimate in self.summary.items()},
            **by_cell("error", self.cell_errors, counts),
        }

    def to_json(self) -> dict[str, Any]:
        """The measured part of an entry of ``methods`` in the metrics file; NaN becomes null."""
        return {
            "value": self.objective.value,
            "interval": self.objective.interval,
            "cell_errors": [_nullable(row) for row in self.cell_errors],
            "cell_intervals": [
                [None if np.isnan(pair).any() else pair.tolist() for pair in row]
                for row in self.cell_intervals
            ],
            "class_errors": _nullable(self.class_errors),
            "class_intervals": [
                None if np.isnan(pair).any() else pair.tolist() for pair in self.class_intervals
            ],
            "summary": {name: estimate.value for name, estimate in self.summary.items()},
            **self._costs_to_json(),
        }

    def _costs_to_json(self) -> dict[str, Any]:
        if self.cell_costs is None or self.class_costs is None:
            return {}
        return {
            "cell_costs": [_nullable(row) for row in self.cell_costs],
            "class_costs": _nullable(self.class_costs),
        }


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Labelled examples on which methods are measured and compared.

    Parameters
    ----------
    y, g
        Codes of each example's class and group, in the order of ``counts``; ``g`` is ``None``
        without groups.
    counts
        The training counts, which give K, G and their order.
    objective
        What the methods are compared by.
    summary
        Further objectives to report, from :func:`measurable_objectives`.
    sample_weight
        Weight of each example; ``None`` counts every example as one.
    frequencies
        Shape (K, G), the population that ``error`` and the class errors speak about; by default the
        cells' shares among these examples. The training shares instead answer "had the test set
        been drawn like the training set" (the ``standard`` error of Waterbirds).
    replicates
        Bootstrap samples; with 2,000 the ends of an interval move by a few percent of its width.
    level
        Coverage that the intervals aim at.
    random_state
        Seed of the resampling: the same seed, the same intervals.

    Raises
    ------
    DataError
        If no example has weight, lengths differ or a code is out of range.
    """

    y: Integer[ndarray, "N"]
    g: Integer[ndarray, "N"] | None
    counts: Counts
    objective: BoundObjective
    summary: Mapping[str, BoundObjective] = field(default_factory=dict)
    sample_weight: Float[ndarray, "N"] | None = None
    frequencies: Float[ndarray, "K G"] | None = None
    replicates: int = REPLICATES
    level: float = LEVEL
    random_state: int = 0

    def __post_init__(self) -> None:
        if _weights(self.y, self.sample_weight).sum() == 0:
            raise DataError("no example with positive weight to evaluate on; check the split")
        if self.frequencies is None:
            totals = np.bincount(self._cell, self._weight, self.counts.values.size)
            share = totals.reshape(self.counts.values.shape) / totals.sum()
            object.__setattr__(self, "frequencies", share)

    @property
    def rarest_cell(self) -> int:
        """Examples of the rarest cell that the objective takes."""
        examples = np.bincount(self._cell, minlength=self.counts.values.size)
        return int(self.objective.rarest_cell(examples.reshape(self.counts.values.shape)))

    def objective_estimate(self, predicted: Integer[ndarray, "P"]) -> Estimate:
        """The objective's error, or mean cost, with the predicted codes, with its interval.

        Raises
        ------
        DataError
            If there is not one prediction per example.
        """
        losses = self._losses(predicted)
        return self._estimate(self.objective, self._means(losses), self._draws(losses)[0])

    def evaluate(self, predicted: Integer[ndarray, "P"]) -> Evaluation:
        """Errors of the predicted codes per cell, class and objective, with intervals.

        Raises
        ------
        DataError
            If there is not one prediction per example.
        """
        _check_length(self.y, predicted)
        wrong, frequencies = (predicted != self.y).astype(np.float64), self._frequencies
        errors, draws = self._means(wrong), self._draws(wrong)[0]
        costs = None if self.objective.costs is None else self._means(self._losses(predicted))
        per_class = class_errors(errors, frequencies)
        return Evaluation(
            objective=self._estimate(self.objective, errors, draws)
            if costs is None
            else self.objective_estimate(predicted),
            summary={
                name: self._estimate(objective, errors, draws)
                for name, objective in self.summary.items()
            },
            cell_errors=errors,
            cell_intervals=error_intervals(
                errors,
                draws,
                _effective_size(self._cell, self._weight, errors.size).reshape(errors.shape),
                self.level,
            ),
            class_errors=per_class,
            class_intervals=error_intervals(
                per_class,
                class_errors(draws, frequencies),
                _effective_size(self.y, self._weight, len(per_class)),
                self.level,
            ),
            cell_costs=costs,
            class_costs=None if costs is None else class_errors(costs, frequencies),
        )

    def paired_difference(
        self, predicted: Integer[ndarray, "P"], reference: Integer[ndarray, "Q"]
    ) -> Estimate:
        """How much larger the objective's error is with ``predicted`` than with ``reference``.

        Both are measured on the same resampled examples, so what the two get wrong together
        cancels, and the interval is narrower than two separate ones would suggest.

        Raises
        ------
        DataError
            If there is not one prediction per example.
        """
        losses = [self._losses(codes) for codes in (predicted, reference)]
        values = [self.objective.error(self._means(each), self._frequencies) for each in losses]
        draws = [
            _replicate(self.objective, each, self._frequencies) for each in self._draws(*losses)
        ]
        return pivotal_estimate(values[0] - values[1], draws[0] - draws[1], self.level)

    def _estimate(
        self,
        objective: BoundObjective,
        errors: Float[ndarray, "K G"],
        draws: Float[ndarray, "R K G"],
    ) -> Estimate:
        return pivotal_estimate(
            objective.error(errors, self._frequencies),
            _replicate(objective, draws, self._frequencies),
            self.level,
            lowest=0.0,
        )

    @property
    def _cell(self) -> Integer[ndarray, "N"]:
        return cell_codes(self.y, self.g, *self.counts.values.shape)

    @property
    def _weight(self) -> Float[ndarray, "N"]:
        return _weights(self.y, self.sample_weight)

    @property
    def _frequencies(self) -> Float[ndarray, "K G"]:
        assert self.frequencies is not None  # filled in __post_init__
        return self.frequencies

    def _losses(self, predicted: Integer[ndarray, "P"]) -> Float[ndarray, "N"]:
        """What each decision counts for the objective."""
        _check_length(self.y, predicted)
        return self.objective.decision_losses(self.y, predicted)

    def _means(self, values: Float[ndarray, "N"]) -> Float[ndarray, "K G"]:
        return cell_means(values, self._cell, self._weight, *self.counts.values.shape)

    def _draws(self, *values: Float[ndarray, "N"]) -> Float[ndarray, "M R K G"]:
        shape = self.counts.values.shape
        draws = draw_cell_means(
            np.stack(values),
            self._cell,
            self.counts.values.size,
            self._weight,
            self.replicates,
            self.random_state,
        )
        return draws.reshape(len(values), self.replicates, *shape)


def _check_length(y: Integer[ndarray, "N"], predicted: Integer[ndarray, "P"]) -> None:
    if len(predicted) != len(y):
        raise DataError(f"there are {len(y)} examples but {len(predicted)} predictions")


def cell_means(
    values: Float[ndarray, "N"],
    cell: Integer[ndarray, "N"],
    weight: Float[ndarray, "N"],
    K: int,
    G: int,
) -> Float[ndarray, "K G"]:
    """Weighted mean of a value per example within each cell; NaN where there is none."""
    total = np.bincount(cell, weight, K * G)
    return _share(np.bincount(cell, weight * values, K * G), total).reshape(K, G)


def _weights(
    y: Integer[ndarray, "N"], sample_weight: Float[ndarray, "W"] | None
) -> Float[ndarray, "N"]:
    if sample_weight is None:
        return np.ones(len(y))
    if len(sample_weight) != len(y):
        raise DataError(f"there are {len(y)} examples but {len(sample_weight)} sample weights")
    if not np.isfinite(sample_weight).all() or (sample_weight < 0).any():
        raise DataError("sample weights must be finite and not negative")
    return sample_weight


def _share(
    part: Float[ndarray, "*shape"], total: Float[ndarray, "*shape"]
) -> Float[ndarray, "*shape"]:
    share = np.full(total.shape, np.nan)
    np.divide(part, total, out=share, where=total > 0)
    return share


def _effective_size(
    code: Integer[ndarray, "N"], weight: Float[ndarray, "N"], size: int
) -> Float[ndarray, "C"]:
    squares = np.bincount(code, weight**2, size)
    return np.bincount(code, weight, size) ** 2 / np.where(squares > 0, squares, 1.0)


def _replicate(
    objective: BoundObjective,
    draws: Float[ndarray, "R K G"],
    frequencies: Float[ndarray, "K G"],
) -> Float[ndarray, "R"]:
    """The error twin of every replicate at once; all have the same empty cells."""
    measured = replace(objective, present=objective.present & np.isfinite(draws[0]))
    share = torch.from_numpy(frequencies)
    twin = torch.vmap(lambda errors: measured.risk(errors, share, sharpness=None))
    values: Float[ndarray, "R"] = twin(torch.from_numpy(np.nan_to_num(draws))).numpy()
    return values


def _nullable(values: Float[ndarray, "*shape"]) -> list[Any]:
    return [None if np.isnan(value) else float(value) for value in values]
