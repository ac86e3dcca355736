"""Post-hoc correction: leave the model alone and shift its logits for the objective.

The bias b minimises the held-out objective of z + b. On a linear head it is what an additive
adjustment that is the same for every group amounts to, and needs no retraining; a designed loss
that does no better than this is not worth its cost.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from autobalance.search.heldout import HeldOutRisk

_MAX_ITERATIONS = 200


def tune_bias(held_out: HeldOutRisk, logits: Float[Tensor, "M K"]) -> Float[ndarray, "K"]:
    """Bias of mean 0 per class that minimises the held-out objective, temperature profiled out.

    Parameters
    ----------
    held_out
        The objective on M held-out examples.
    logits
        Their plain logits.
    """

    def evaluate(bias: Float[ndarray, "K"]) -> tuple[float, Float[ndarray, "K"]]:
        shift = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
        value = held_out(logits.double() + shift - shift.mean()).total
        (gradient,) = torch.autograd.grad(value, shift)
        return float(value.detach()), gradient.numpy()

    outcome = minimize(
        evaluate,
        np.zeros(logits.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS},
    )
    return np.asarray(outcome.x - outcome.x.mean())
