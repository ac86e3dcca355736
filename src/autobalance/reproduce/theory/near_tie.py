r"""The distribution of appendix D, on which distinct δ decide wrongly.

Appendix D of the paper puts two classes on the edge of a tie at two points: the products
:math:`c_y \eta_y(x)` of both are nearly the same, and :math:`\Gamma` times as large at :math:`x_1`
as at :math:`x_2`. Here

.. math:: \eta_y(x_i) = s_i (1 \pm \varepsilon) / c_y \quad (y = 1, 2), \qquad s_1 = \Gamma s_2

where class 1 has the upper sign at one point and the lower one at the other. The other classes
share the rest evenly. Four things that the appendix says are put right.

- There :math:`\varepsilon` and :math:`\varepsilon'` go with *exactly* scaled likelihoods. Then
  :math:`\varepsilon = \Gamma \varepsilon'`, the same class is right at both points, and one l that
  favours it is right at both. The proof needs opposite signs. For the balanced error two points
  force them, since the means of :math:`\eta_1 / \pi_1` and :math:`\eta_2 / \pi_2` are both 1.
- Γ cannot be arbitrary. The likelihoods sum to 1, so that K classes allow Γ < K/2 for the standard
  error. With K = 2 there is no such distribution at all, and some l is always right.
- Small likelihoods of the other classes do not keep them out of the balanced rule. On two points
  alone they would win one of them, so a third point holds most of them.
- The Bayes rule is :math:`\arg\max c_y \eta_y` with the true likelihoods. The appendix writes
  :math:`\bar\eta`, which has the weights in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

STANDARD, BALANCED = "standard error", "balanced error"
N_CLASSES = 10
_SHARED = 0.9
"""Share of x_1 that the two classes have."""
_AT_TIE = 0.98
"""Share of the two classes that lies at x_1 and x_2, for the balanced error."""


@dataclass(frozen=True)
class NearTie:
    """Points with their probabilities, the likelihoods η there and the factors c of the Bayes rule.

    The first two points are x_1 and x_2.
    """

    mass: Float[ndarray, "X"]
    likelihood: Float[ndarray, "X K"]
    factor: Float[ndarray, "K"]

    @property
    def first_is_right(self) -> tuple[bool, bool]:
        """Whether Bayes decides for class 1 rather than 2, at x_1 and x_2."""
        first, second = (self.factor * self.likelihood)[:2, :2].T
        return bool(first[0] > second[0]), bool(first[1] > second[1])

    def weighted(self, weight: Float[ndarray, "K"]) -> Float[ndarray, "X K"]:
        """The likelihoods η̄ ∝ w η that the weighted loss sees."""
        product = weight * self.likelihood
        return np.asarray(product / product.sum(1, keepdims=True))


def near_tie(
    objective: str, gamma: float, epsilon: float, first: float, second: float, *, upper: bool
) -> NearTie:
    """Build the distribution.

    Parameters
    ----------
    objective
        ``STANDARD``, with c = 1, or ``BALANCED``, with c = 1/π.
    gamma
        Γ in (1, 4).
    epsilon
        How close the two classes are: their products differ by 2ε in relative terms.
    first, second
        Shares π of the two classes, for the balanced error.
    upper
        Whether class 1 has the upper sign at x_1, where both classes are likelier.
    """
    balanced = objective == BALANCED
    prior = np.full(N_CLASSES, (1 - first - second) / (N_CLASSES - 2))
    prior[:2] = first, second
    factor = 1 / prior if balanced else np.ones(N_CLASSES)
    level = _SHARED / (1 / factor[:2]).sum() / np.array([1, gamma])
    tilt = epsilon if upper else -epsilon
    likelihood = np.empty((2, N_CLASSES))
    likelihood[:, 0] = level * [1 + tilt, 1 - tilt] / factor[0]
    likelihood[:, 1] = level * [1 - tilt, 1 + tilt] / factor[1]
    likelihood[:, 2:] = (1 - likelihood[:, :2].sum(1, keepdims=True)) / (N_CLASSES - 2)
    mass = np.array([1, gamma]) * (_AT_TIE / 2 / level[0] if balanced else 1 / (1 + gamma))
    if balanced:
        rest = 1 - mass.sum()
        elsewhere = (prior - mass @ likelihood) / rest
        mass, likelihood = np.append(mass, rest), np.vstack([likelihood, elsewhere])
    return NearTie(mass, likelihood, factor)
