r"""Linear heads that are trained on balls around the examples, and the gradient in the radii.

With a policy of balls (:meth:`~autobalance.augmentation.policy.Policy.ball`) the head of a fold
minimises the mean over the R copies x̃ = x + ε v of each training example, ε being the radius of its
(class, group) cell,

.. math:: \sum_i \frac{s_i}{R} \sum_r \text{loss}(θ \tilde x_{ir}; y_i, g_i) + \text{penalty},

which is the loss in expectation for R → ∞, and convex for every R. What is held out is not moved.

The radius acts on the logits alone, z̃ = θx + ε θv. With t = θv, u = p x̃, τ = p v,
q = softmax(δz̃ + l) and a = δu, the mixed term of the hypergradient is

.. math:: ∂_ε ⟨∇_θ L, p⟩ = \sum_{i \text{ in cell}} \frac{s_i}{R} \sum_r w \left[
          ⟨δ q (a - \bar a), t⟩ + ⟨δ (q - 1\{y\}), τ⟩ \right], \qquad \bar a = \sum_k q_k a_k.

Radii are in the units of the standardised features, of variance 1 (or of mean variance 1 where the
features keep their proportions). A ball of radius ε in D dimensions spreads a score by ε/√(D + 2)
times the norm of its coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autobalance.augmentation.policy import Policy
from autobalance.data.features import FeatureMatrix
from autobalance.errors import DesignError
from autobalance.search.heads import LinearHeads
from autobalance.search.moved_features import DEFAULT_DRAWS, Draws, MovedFeatures
from autobalance.space import LossValues

_START_SPREAD = 0.2


class AugmentedHeads(LinearHeads):
    """F heads, each trained on the balls around its own training examples.

    Parameters
    ----------
    features, target, group, train_weight, n_classes, curvature_dtype, tolerance
        As in :class:`~autobalance.search.heads.LinearHeads`, of the examples.
    draws
        How many copies of each, and which.
    """

    features: MovedFeatures

    def __init__(
        self,
        features: FeatureMatrix,
        target: Int[Tensor, "N"],
        group: Int[Tensor, "N"],
        train_weight: Float[Tensor, "F N"],
        n_classes: int,
        draws: Draws = DEFAULT_DRAWS,
        *,
        curvature_dtype: torch.dtype = torch.float32,
        tolerance: float = 1e-4,
    ) -> None:
        moved = MovedFeatures(features, draws)
        copy = moved.example
        weight = train_weight.double()[:, copy] / draws.copies
        super().__init__(
            moved,
            target[copy],
            group[copy],
            weight,
            n_classes,
            curvature_dtype=curvature_dtype,
            tolerance=tolerance,
        )
        self.examples = features
        self._cell_of_example = (target, group)

    def set_loss(self, values: LossValues) -> None:
        """Use these values of the loss and these radii from now on."""
        super().set_loss(values)
        self.features.radius = _radii(values)[self._cell_of_example]

    def policy_products(self, direction: Float[Tensor, "F K E"]) -> tuple[Tensor, ...]:
        """∂_α ⟨∇_θ L_train, p⟩ over the probabilities, which are fixed, and the radii."""
        n_groups = self._values.weight.shape[1]
        size = self._values.weight.numel()
        total = torch.zeros(size, dtype=torch.float64)
        for number, rows in self._own_chunks:
            scaled, additive, delta = self._loss_at(number, rows)
            q = torch.softmax(delta * self.features.logits(self.theta, rows) + additive, dim=1)
            a = delta * self.features.logits(direction, rows)
            curved = q * (a - (q * a).sum(1, keepdim=True))
            product = curved * self.features.slopes(self.theta, rows)
            product += (q - self._own[:, rows]) * self.features.slopes(direction, rows)
            per_copy = (scaled * delta * product).sum((0, 1))
            cell = self.target[rows] * n_groups + self.group[rows]
            total += torch.bincount(cell, weights=per_copy, minlength=size)
        probability, magnitude = self._values.policy
        total = self._ranks.total(total)
        return torch.zeros_like(probability), total.reshape(magnitude.shape)


def _radii(values: LossValues) -> Float[Tensor, "K G"]:
    return values.policy[1][:, :, 0, 0]


def heads_for(policy: Policy | None, draws: Draws = DEFAULT_DRAWS) -> Callable[..., LinearHeads]:
    """What makes the heads for a loss with an augmentation policy, or without.

    Raises
    ------
    DesignError
        If the policy is something else than a ball around each example.
    """
    if policy is None:
        return LinearHeads
    require_balls(policy)
    return partial(AugmentedHeads, draws=draws)


def require_balls(policy: Policy) -> None:
    """Refuse what a linear head on fixed features cannot be trained with.

    Raises
    ------
    DesignError
        As :func:`heads_for`.
    """
    if policy.sub_policies != (("ball",),) or (policy.probability != 1).any():
        names = ", ".join(dict.fromkeys(name for chain in policy.sub_policies for name in chain))
        raise DesignError(
            f"the policy is of {names}, and a linear head on fixed features knows only a ball "
            "around each example, always applied; make one with Policy.ball(radius)"
        )


def starting_radius(width: int) -> float:
    """Where a search of radii on so many features starts.

    A score is then spread by a fifth of what a standard deviation of a feature moves it by: little
    beside the data, and enough for the objective to have a slope in the radius, in which it is
    quadratic.
    """
    return float(_START_SPREAD * (width + 2) ** 0.5)
