"""Slopes and biases from held-out log-probabilities: for an objective, or for calibration."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.calibration import fit_calibrator
from autobalance.counts import Counts
from autobalance.objectives import BoundObjective
from autobalance.posthoc.tuning import tune_scaling
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.settings import SearchSettings

Fitted = tuple[Float[ndarray, "K G"], Float[ndarray, "K G"]]
"""Slopes and biases."""
_SHRINKAGE = 1.0


def held_out_risk(
    objective: BoundObjective, y: Integer[ndarray, "M"], g: Integer[ndarray, "M"], counts: Counts
) -> HeldOutRisk:
    """The objective on held-out examples, of the loss that suits so many of them."""
    variance = objective.estimation_variance(counts.values, counts.frequencies)
    settings = SearchSettings().for_data(1 / variance, constrained=False)
    return HeldOutRisk(
        torch.from_numpy(y),
        torch.from_numpy(g),
        torch.ones(len(y), dtype=torch.float64),
        objective,
        sharpness=settings.sharpness_used,
        loss=settings.held_out_loss,
    )


def for_objective(
    held_out: HeldOutRisk,
    phi: Float[ndarray, "M K"],
    g: Integer[ndarray, "M"],
    n_groups: int,
    scaled: bool,
) -> Fitted:
    """Tuned slopes and biases of each group, over the temperature that calibrates best.

    They are tuned for calibrated logits, so that a bias of 1 means the same for every model, and
    with the shrinkage of a search: a cell of few examples says little about slopes of its own.
    """

    def temperature(logits: Float[ndarray, "M K"]) -> float:
        return held_out(torch.from_numpy(logits)).temperature

    before = temperature(phi)
    logits = phi / before
    slope, bias = tune_scaling(
        held_out,
        torch.from_numpy(logits),
        torch.from_numpy(g),
        n_groups,
        scaled=scaled,
        shrinkage=_SHRINKAGE,
    )
    after = temperature(slope[:, g].T * logits + bias[:, g].T)
    return slope / (before * after), bias / after


def calibrated(
    phi: Float[ndarray, "M K"],
    y: Integer[ndarray, "M"],
    g: Integer[ndarray, "M"],
    counts: Counts,
) -> Fitted:
    """Slopes and biases that calibrate every group for its own shares of the classes."""
    fitted = []
    for j, column in enumerate(counts.values.T):
        rows = g == j
        shares, nothing = column / column.sum(), np.zeros(counts.n_classes)
        fitted.append(fit_calibrator(phi[rows], y[rows], np.ones(rows.sum()), shares, nothing))
    return np.stack([each.slope for each in fitted], 1), np.stack([each.bias for each in fitted], 1)
