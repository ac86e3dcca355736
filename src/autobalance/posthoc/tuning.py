"""Post-hoc tuning: leave the model alone, and shift and scale its logits for the objective.

A tuned bias b minimises the held-out objective of z + b. On a linear head it is what an additive
adjustment that is the same for every group amounts to, and needs no retraining; a designed loss
that does no better than this is not worth its cost. Vector scaling has a factor per class, too.
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

    alike = torch.zeros(len(logits), dtype=torch.long)
    bias = minimise(objective, _calibrated_bias(held_out, logits, alike, 1)[:, 0])
    return np.asarray(bias - bias.mean())


def tune_scaling(
    held_out: HeldOutRisk,
    logits: Float[Tensor, "M K"],
    group: Integer[Tensor, "M"] | None = None,
    n_groups: int = 1,
    *,
    scaled: bool = True,
    shrinkage: float = 0.0,
) -> tuple[Float[ndarray, "K G"], Float[ndarray, "K G"]]:
    """Factors s and biases b, per class or per class and group, that minimise the objective.

    The held-out objective of s ⊙ z + b is not convex: the search starts from the tuned bias, which
    it can only improve on, or from each group's own bias of the calibrating cross-entropy, if that
    is better. With the temperature profiled out factors have the geometric mean 1;
    biases have the mean 0 in each group.

    Parameters
    ----------
    held_out
        The objective on M held-out examples.
    logits
        Their plain logits. What factors make of a constant added to a row depends on it: take a
        constant out, such as the mean, first.
    group, n_groups
        Codes of their groups in [0, G), for factors and biases of each group's own.
    scaled
        Whether factors are tuned, or all stay 1.
    shrinkage
        Strength of the pull towards the start b⁰, shrinkage · V/2 · (Σ log² s + Σ (b − b⁰)²),
        with V and the meaning of 1 as in :class:`~autobalance.search.exact.ExactProblem`.
    """
    logits = logits.double()
    group = torch.zeros(len(logits), dtype=torch.long) if group is None else group
    shape = (logits.shape[1], n_groups)
    size = shape[0] * shape[1]
    starts = [np.repeat(tune_bias(held_out, logits)[:, None], n_groups, axis=1)]
    if n_groups > 1:
        calibrated = _calibrated_bias(held_out, logits, group, n_groups)
        starts.append(calibrated - calibrated.mean(axis=0))
    with torch.no_grad():
        start = min(
            starts, key=lambda b: float(held_out(logits + torch.from_numpy(b)[:, group].T).total)
        )
    first = torch.from_numpy(start)
    pull = shrinkage * held_out.variance / 2

    def objective(point: Float[Tensor, "P"]) -> Float[Tensor, ""]:
        scale, bias = point.reshape(2, *shape)
        bias = bias - bias.mean(0)
        moved = (scale.log() ** 2).sum() + ((bias - first) ** 2).sum()
        value = held_out(scale[:, group].T * logits + bias[:, group].T).total
        return torch.add(value, pull * moved)

    best = minimise(
        objective,
        np.concatenate([np.ones(size), start.ravel()]),
        [(SMALLEST_SCALE, None) if scaled else (1.0, 1.0)] * size + [(None, None)] * size,
    )
    scale, bias = best.reshape(2, *shape)
    if held_out.profile_temperature:  # the size of the logits is then open
        mean = np.exp(np.log(scale).mean())
        scale, bias = scale / mean, bias / mean
    return scale, bias - bias.mean(axis=0)


def _calibrated_bias(
    held_out: HeldOutRisk,
    logits: Float[Tensor, "M K"],
    group: Integer[Tensor, "M"],
    n_groups: int,
) -> Float[ndarray, "K G"]:
    """The biases b of the groups at which the cross-entropy of s (z + b) is least over s and b."""
    lowest = SMALLEST_SCALE if held_out.profile_temperature else 1.0
    highest = None if held_out.profile_temperature else 1.0
    shape = (logits.shape[1], n_groups)
    size = shape[0] * shape[1]

    def loss(scale_and_shift: Tensor) -> Tensor:
        shift = scale_and_shift[1:].reshape(shape)
        return held_out.calibration_loss(scale_and_shift[0] * logits + shift[:, group].T)

    best = minimise(
        loss,
        np.concatenate([[1.0], np.zeros(size)]),
        [(lowest, highest), *[(None, None)] * size],
    )
    return np.asarray(best[1:] / best[0]).reshape(shape)


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
