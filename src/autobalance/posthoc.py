"""Post-hoc correction: leave the model alone and shift its logits for the objective.

A tuned bias b minimises the held-out objective of z + b. On a linear head it is what an additive
adjustment that is the same for every group amounts to, and needs no retraining; a designed loss
that does no better than this is not worth its cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from autobalance.counts import Counts
from autobalance.losses.presets import logit_adjustment
from autobalance.search.heldout import HeldOutRisk

_MAX_ITERATIONS = 200
SMALLEST_SCALE = 1e-3


def logit_adjustment_bias(counts: Counts, tau: float = 1.0) -> Float[ndarray, "K"]:
    """Bias of mean 0 per class that takes the scaled log-prior off the logits, -τ log π_k.

    Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit adjustment", ICLR
    2021, eq. 9, which decides for the class of the largest z_k - τ log π_k. At τ = 1 and with the
    true odds of the training distribution as logits this is Bayes' rule for even classes. Nothing
    is tuned, unlike in :func:`tune_bias`.

    Parameters
    ----------
    counts
        Training examples per class; groups are summed over.
    tau
        1, the default, is the value that is consistent for the balanced error.

    Raises
    ------
    DesignError
        If τ is not finite.
    """
    bias = -logit_adjustment(counts, tau).additive[:, 0]
    return np.asarray(bias - bias.mean())


def least_expected_cost(
    probabilities: Float[ndarray, "N K"], costs: Float[ndarray, "K K"]
) -> Integer[ndarray, "N"]:
    """Codes of the decisions of least expected cost, argmin_k Σ_y p_y C[y, k].

    Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, eq. 1. With the true
    probabilities no decision is better, and it needs no loss but cross-entropy; with others it is
    as good as they are. It is no argmax of logits, unless there are two classes or a class's errors
    all cost the same.

    Parameters
    ----------
    probabilities
        Calibrated for the class shares where the decisions are taken, as of
        ``predict_proba(X, prior="train")``.
    costs
        Of deciding for the column where the row is true, in the order of the probabilities.
    """
    return np.asarray((probabilities @ costs).argmin(axis=1))


def tune_bias(held_out: HeldOutRisk, logits: Float[Tensor, "M K"]) -> Float[ndarray, "K"]:
    """Bias of mean 0 per class that minimises the held-out objective, temperature profiled out.

    With the temperature the objective is not convex in the bias: a bias that drowns the logits is
    a local minimum of a worst class. So the search starts from the bias of the calibrating
    cross-entropy, which is convex in the scale and the shift of the logits together.

    Parameters
    ----------
    held_out
        The objective on M held-out examples.
    logits
        Their plain logits.
    """
    logits = logits.double()

    def objective(bias: Tensor) -> Tensor:
        return held_out(logits + bias - bias.mean()).total

    bias = minimise(objective, _calibrated_bias(held_out, logits))
    return np.asarray(bias - bias.mean())


def _calibrated_bias(held_out: HeldOutRisk, logits: Float[Tensor, "M K"]) -> Float[ndarray, "K"]:
    """The bias b at which the cross-entropy of s (z + b) is least over s and b."""
    lowest = SMALLEST_SCALE if held_out.profile_temperature else 1.0
    highest = None if held_out.profile_temperature else 1.0

    def loss(scale_and_shift: Tensor) -> Tensor:
        return held_out.calibration_loss(scale_and_shift[0] * logits + scale_and_shift[1:])

    best = minimise(
        loss,
        np.concatenate([[1.0], np.zeros(logits.shape[1])]),
        [(lowest, highest), *[(None, None)] * logits.shape[1]],
    )
    return np.asarray(best[1:] / best[0])


def minimise(
    function: Callable[[Tensor], Tensor],
    start: Float[ndarray, "P"],
    bounds: list[tuple[float | None, float | None]] | None = None,
) -> Float[ndarray, "P"]:
    """Where L-BFGS-B takes a function of a few values, differentiated by autograd."""

    def evaluate(point: Float[ndarray, "P"]) -> tuple[float, Float[ndarray, "P"]]:
        tensor = torch.tensor(point, dtype=torch.float64, requires_grad=True)
        value = function(tensor)
        (gradient,) = torch.autograd.grad(value, tensor)
        return float(value.detach()), gradient.numpy()

    outcome = minimize(
        evaluate,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _MAX_ITERATIONS},
    )
    return np.asarray(outcome.x)
