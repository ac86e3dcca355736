r"""What minimises the population risk of the parametric loss, point by point.

With :math:`\bar\eta_y \propto w_y \eta_y` the risk is least where
:math:`\mathrm{softmax}(\delta \odot f + l) = \bar\eta`. Appendix D of the paper takes
:math:`f_y = (\log \bar\eta_y - l_y) / \delta_y` for *the* minimiser, but
:math:`f_y + C(x) / \delta_y` is one for every C(x), and with distinct δ the largest score depends
on C(x). Two choices are looked at: appendix D's, where :math:`\sum_y e^{\delta_y f_y + l_y} = 1`,
and the one of the least norm, where :math:`\sum_y f_y / \delta_y = 0`. Gradient steps from zero
and a vanishing ridge lead to the latter.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from autobalance.losses.parametric import adjusted_cross_entropy

_GRADIENT = 1e-11


def closed_form(
    weighted: Float[ndarray, "X K"],
    additive: Float[ndarray, "M K"],
    multiplicative: Float[ndarray, "#M K"],
) -> Float[ndarray, "M X K"]:
    """The minimiser of appendix D, f_y = (log η̄_y − l_y) / δ_y, of M losses.

    Parameters
    ----------
    weighted
        η̄ at X points.
    additive, multiplicative
        l and δ of each loss.
    """
    return np.asarray((np.log(weighted) - additive[:, None]) / multiplicative[:, None])


def least_risk(
    mass: Float[ndarray, "X"],
    likelihood: Float[ndarray, "X K"],
    weight: Float[ndarray, "K"],
    additive: Float[ndarray, "M K"],
    multiplicative: Float[ndarray, "K"],
) -> Float[ndarray, "M X K"]:
    """Scores that minimise the population risk, for M vectors l side by side, up to C(x) / δ.

    Newton steps with conjugate gradients start from zero scores.

    Parameters
    ----------
    mass, likelihood
        Probabilities of X points, and η there.
    weight, additive, multiplicative
        w, the vectors l, and δ.
    """
    n_vectors, (n_points, n_classes) = len(additive), likelihood.shape
    target = torch.from_numpy(likelihood).repeat(n_vectors, 1)
    of_point = torch.from_numpy(mass).repeat(n_vectors)
    which = torch.arange(n_vectors).repeat_interleave(n_points)  # a group for each vector l
    w, delta = (
        torch.from_numpy(values)[:, None].expand(-1, n_vectors)
        for values in (weight, multiplicative)
    )
    l = torch.from_numpy(additive).T

    def risk(point: Tensor) -> Tensor:
        scores = point.reshape(-1, n_classes)
        return adjusted_cross_entropy(
            scores, target, w, l, delta, group=which, sample_weight=of_point, reduction="sum"
        )

    def value_and_gradient(point: Float[ndarray, "P"]) -> tuple[float, Float[ndarray, "P"]]:
        scores = torch.tensor(point, requires_grad=True)
        value = risk(scores)
        return value.item(), torch.autograd.grad(value, scores)[0].numpy()

    def curvature(point: Float[ndarray, "P"], along: Float[ndarray, "P"]) -> Float[ndarray, "P"]:
        scores = torch.tensor(point, requires_grad=True)
        (gradient,) = torch.autograd.grad(risk(scores), scores, create_graph=True)
        return torch.autograd.grad(gradient @ torch.from_numpy(along), scores)[0].numpy()

    found = minimize(
        value_and_gradient,
        np.zeros(len(target) * n_classes),
        jac=True,
        hessp=curvature,
        method="trust-ncg",
        options={"gtol": _GRADIENT},
    )
    return np.asarray(found.x).reshape(n_vectors, n_points, n_classes)


def normalised(
    scores: Float[ndarray, "M X K"],
    additive: Float[ndarray, "M K"],
    multiplicative: Float[ndarray, "K"],
) -> Float[ndarray, "M X K"]:
    """The same scores moved along 1/δ until exp(δ f + l) sums to 1, as appendix D has it."""
    adjusted = multiplicative * scores + additive[:, None]
    total = np.logaddexp.reduce(adjusted, axis=2, keepdims=True)
    return np.asarray(scores - total / multiplicative)


def of_least_norm(
    scores: Float[ndarray, "M X K"], multiplicative: Float[ndarray, "K"]
) -> Float[ndarray, "M X K"]:
    """The same scores moved along 1/δ until Σ f_y / δ_y is 0."""
    along = 1 / multiplicative
    return np.asarray(scores - (scores @ along / (along @ along))[..., None] * along)
