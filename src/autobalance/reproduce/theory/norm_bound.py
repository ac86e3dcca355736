r"""Binary losses minimised under a bound on the norm, however large, in the logarithmic domain.

Every loss of lemma 2 is, for a linear model through the origin,

.. math:: L(\theta) = \sum_i \omega_i
          \log \big( 1 + e^{l_i + \varepsilon_i \|\theta\| - b_i^T \theta} \big)

with rows :math:`b_i`. On separable data it falls with the norm, so that its minimiser over
:math:`\|\theta\| \le R` has norm R, (E.1). At R = 100 the losses are far below the smallest float64
beside 1, and a softmax that sums to 1 no longer tells them apart. Their logarithms are exact at any
R, and log L has the same minimiser. BFGS steps find it on the sphere, from R to R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import log_expit, logsumexp, roots_jacobi, softmax

from autobalance.reproduce.theory.separable import Pair, Points

_TAIL = -30.0
"""Below it log(1 + eᵃ) is eᵃ to the last digit of its logarithm."""
_GRADIENT = 1e-9


@dataclass(frozen=True)
class BinaryRisk:
    """The loss above.

    Parameters
    ----------
    rows
        b, N vectors.
    additive
        l of each.
    log_weight
        log ω of each.
    radius
        ε of each.
    """

    rows: Float[ndarray, "N P"]
    additive: Float[ndarray, "N"]
    log_weight: Float[ndarray, "N"]
    radius: Float[ndarray, "N"]

    def on_sphere(
        self, bound: float, unit: Float[ndarray, "P"]
    ) -> tuple[float, Float[ndarray, "P"]]:
        """The value of log L(R u), and its derivative in the unit vector u."""
        exponents = self.additive + bound * (self.radius - self.rows @ unit)
        logs = log_softplus(exponents)
        relative = np.exp(log_expit(exponents) - logs)  # the derivative of the logarithm
        shares = softmax(self.log_weight + logs)
        value = float(logsumexp(self.log_weight + logs))
        return value, -bound * (self.rows.T @ (shares * relative))


def parametric_risk(data: Points, weight: Pair, additive: Pair, multiplicative: Pair) -> BinaryRisk:
    r"""Appendix E's loss, :math:`w_y \log(1 + e^{l_y} e^{-\Delta_y y \theta^T x})`.

    Parameters
    ----------
    data
        Points and labels.
    weight, additive, multiplicative
        w, l and Δ of the positive and of the negative class.
    """
    return BinaryRisk(
        (data.labels * data.by_class(multiplicative))[:, None] * data.points,
        data.by_class(additive),
        np.log(data.by_class(weight)),
        np.zeros(len(data.labels)),
    )


def two_logit_risk(data: Points, weight: Pair, additive: Pair, multiplicative: Pair) -> BinaryRisk:
    """Equation (2.1) for two classes whose logits have a vector each, θ = (θ₊, θ₋).

    The exponent is l₋ − l₊ − (Δ₊ θ₊ − Δ₋ θ₋)ᵀ x for the positive class and its opposite for the
    negative one: one score serves both, and Δ only stretches the vectors.
    """
    stretch = np.array([multiplicative[0], -multiplicative[1]])
    signed = data.labels[:, None] * data.points
    return BinaryRisk(
        np.hstack([factor * signed for factor in stretch]),
        -data.labels * (additive[0] - additive[1]),
        np.log(data.by_class(weight)),
        np.zeros(len(data.labels)),
    )


def augmented_risk(data: Points, radii: Float[ndarray, "N"], nodes: int) -> BinaryRisk:
    r"""The logistic loss, averaged over the ball of radius ε_i around each point.

    Of a point of the ball only the coordinate t along θ matters, in radii. Its density is
    proportional to :math:`(1 - t^2)^{(D - 1)/2}`, and Gauss–Jacobi quadrature with so many nodes
    integrates it. The outermost node lies a little inside the ball: at the largest norms it is that
    slightly smaller ball whose machine is found.
    """
    size, dimension = data.points.shape
    places, shares = roots_jacobi(nodes, (dimension - 1) / 2, (dimension - 1) / 2)
    return BinaryRisk(
        np.repeat(data.labels[:, None] * data.points, nodes, axis=0),
        np.zeros(size * nodes),
        np.tile(np.log(shares / shares.sum()), size),
        np.outer(radii, places).ravel(),
    )


def trained_directions(risk: BinaryRisk, bounds: Sequence[float]) -> Float[ndarray, "M P"]:
    """θ_R / R for growing bounds R, each found from the one before."""
    direction = risk.rows.sum(0)
    found = []
    for bound in bounds:
        direction = _on_sphere(risk, bound, direction / np.linalg.norm(direction))
        found.append(direction)
    return np.array(found)


def log_softplus(exponents: Float[ndarray, "N"]) -> Float[ndarray, "N"]:
    """The logarithm of log(1 + eᵃ), which tends to a itself as a falls."""
    return np.where(
        exponents < _TAIL, exponents, np.log(np.logaddexp(0, np.maximum(exponents, _TAIL)))
    )


def _on_sphere(risk: BinaryRisk, bound: float, start: Float[ndarray, "P"]) -> Float[ndarray, "P"]:
    """The unit vector u at which log L(R u) is least."""

    def value_and_gradient(point: Float[ndarray, "P"]) -> tuple[float, Float[ndarray, "P"]]:
        length = np.linalg.norm(point)
        unit = point / length
        value, gradient = risk.on_sphere(bound, unit)
        return value / bound, (gradient - (gradient @ unit) * unit) / (bound * length)

    found = minimize(
        value_and_gradient, start, jac=True, method="BFGS", options={"gtol": _GRADIENT}
    )
    return np.asarray(found.x / np.linalg.norm(found.x))
