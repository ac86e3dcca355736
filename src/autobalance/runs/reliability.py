"""How well a head's probabilities are calibrated, with and without the correction for a prior."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import softmax

from autobalance.bench import Bench, TrainedHead
from autobalance.calibration import (
    BALANCED,
    TRAIN,
    design_offset,
    fit_calibration,
    share_weight,
    weight_for,
)
from autobalance.reliability import reliability_by_part, reliability_curve
from autobalance.runs.examples import Examples

TEST_SPLIT = "test split"
CROSS_FITTED = "held-out folds, cross-fitted"
_PARTS = 5


def measure_calibration(head: TrainedHead, bench: Bench, test: Examples | None) -> dict[str, Any]:
    """The entry ``calibration`` of the metrics file, for the priors "train" and "balanced".

    Both priors are measured on the same examples, weighted so that the classes have its shares;
    for "train" there are curves of every class and group, too. ``raw`` are the probabilities
    without a prior, softmax(z / temperature).

    Parameters
    ----------
    head
        Whose probabilities are measured.
    bench
        Where it was trained.
    test
        Rows that played no part in its training. Without any, every held-out example is measured
        with calibrators that were fitted on the other folds: those of the head have seen it.
    """
    shares = bench.counts.per_class / bench.counts.per_class.sum()
    if test is None:
        row = bench.folds.row
        logits, y, g = head.held_out_logits, bench.y[row], bench.g[row]
        weight = share_weight(bench.sample_weight[row], row)[0]
        corrected = _cross_fitted(head, bench, shares)
    else:
        row = np.arange(len(test))
        logits, y, g = head.model.logits(test.features), test.y, test.g
        weight = np.ones(len(test))
        calibration = head.model.calibration
        assert calibration is not None  # the workbench gives every head one
        corrected = {prior: calibration.probabilities(logits, prior) for prior in (TRAIN, BALANCED)}
    raw = softmax(logits / head.model.temperature, axis=1)
    uniform = np.full(len(shares), 1 / len(shares))
    return {
        "basis": CROSS_FITTED if test is None else TEST_SPLIT,
        "examples": len(np.unique(row)),
        "priors": {
            prior: {
                name: reliability_curve(p, y, weight_for(target, y, weight)).to_json()
                for name, p in (("raw", raw), ("corrected", corrected[prior]))
            }
            for prior, target in ((TRAIN, shares), (BALANCED, uniform))
        },
        **reliability_by_part(
            {"raw": raw, "corrected": corrected[TRAIN]},
            y,
            g,
            weight_for(shares, y, weight),
            None if bench.counts.groups is None else bench.counts.n_groups,
        ),
    }


def _cross_fitted(
    head: TrainedHead, bench: Bench, shares: Float[ndarray, "K"]
) -> dict[str, Float[ndarray, "M K"]]:
    """Probabilities of the held-out examples from calibrators that have not seen them."""
    row, logits = bench.folds.row, head.held_out_logits
    probabilities = {prior: np.empty_like(logits) for prior in (TRAIN, BALANCED)}
    part = _parts(row, bench.folds.fold, bench.y[row])
    for measured in (part == number for number in np.unique(part)):
        fitted = ~measured
        calibration = fit_calibration(
            logits[fitted],
            bench.y[row[fitted]],
            bench.sample_weight[row[fitted]],
            shares,
            design_offset(head.design),
            row[fitted],
        )
        for prior, values in probabilities.items():
            values[measured] = calibration.probabilities(logits[measured], prior)
    return probabilities


def _parts(
    row: Integer[ndarray, "M"], fold: Integer[ndarray, "M"], y: Integer[ndarray, "M"]
) -> Integer[ndarray, "M"]:
    """Which part each held-out example is measured in, all its repetitions in the same.

    The parts are the folds. The examples of a single split are dealt out to parts, class by class.
    """
    _, first, example = np.unique(row, return_index=True, return_inverse=True)
    part = fold[first]
    if (part == part[0]).all():
        part = np.empty_like(part)
        part[np.argsort(y[first], kind="stable")] = np.arange(len(part)) % _PARTS
    return np.asarray(part[example])
