"""Errors of trained heads on the sealed part: a row for each run, and a summary of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.objectives import BoundObjective, Objective
from autobalance.reproduce.outcome import mean_and_error
from autobalance.reproduce.runs import Row, by_method
from autobalance.reproduce.sealed import Sealed

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "balanced": "group-balanced",
        "worst": "worst-group",
        "deo": "equalized-odds",
        "standard": "error",
    }
)
"""The published columns, and the standard error of figure 5, by the objective whose error they are.

``standard`` weighs the cells by their shares of the training part, since the test part has them
even (section 4 of the paper).
"""


def bound_metrics(counts: Counts) -> dict[str, BoundObjective]:
    """The metrics, tied to the classes and groups of the data."""
    return {metric: Objective.parse(name).bind(counts) for metric, name in METRICS.items()}


def measured(test: Sealed, counts: Counts, predicted: ndarray) -> Row:
    """All metrics in percent, the error of each cell, and the predictions as digits."""
    cells = test.errors(predicted)
    values = {
        metric: 100 * objective.error(cells, counts.frequencies)
        for metric, objective in bound_metrics(counts).items()
    }
    return {
        **values,
        "cell_errors": (100 * cells).round(3).tolist(),
        "predictions": "".join(map(str, predicted.tolist())),
    }


def predictions_of(rows: Sequence[Row]) -> ndarray:
    """Shape (runs, N), of rows of one method."""
    return np.array([[int(digit) for digit in row["predictions"]] for row in rows])


def summarised(
    rows: Sequence[Row], test: Sealed, counts: Counts, headline: str, compared: Sequence[str]
) -> dict[str, Row]:
    """An entry for each method: means with standard errors over its runs, and differences.

    A difference is how much larger a method's error is than the headline's: the mean over the
    seeds that both have, with the 95% interval of the paired bootstrap over test examples.

    Parameters
    ----------
    rows
        Of all runs.
    test, counts
        The data.
    headline
        The method that the others are compared with.
    compared
        The methods that take part in comparisons.
    """
    grouped = by_method(rows)
    reference = grouped.get(headline, {})
    summary = {}
    for method, runs in grouped.items():
        entry: Row = {"method": method, "seeds": len(runs)}
        for metric in METRICS:
            value, error = mean_and_error([run[metric] for run in runs.values()])
            entry |= {metric: value, f"{metric}_standard_error": error}
        entry["seconds"] = float(np.median([run["seconds"] for run in runs.values()]))
        shared = sorted(runs.keys() & reference.keys())
        if method != headline and method in compared and shared:
            own, its = (predictions_of([of[seed] for seed in shared]) for of in (runs, reference))
            for metric, objective in bound_metrics(counts).items():
                gap = test.mean_difference(objective, counts, own, its)
                entry[f"{metric}_difference"] = 100 * gap.value
                entry[f"{metric}_interval"] = [100 * end for end in gap.interval]
        summary[method] = entry
    return summary
