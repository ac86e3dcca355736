"""What a hypergradient needs of a training loss: three functions of the logits.

The parameters of the loss act on the logits z only, so second derivatives of the network are never
needed: with u = J_z p, the change of the logits along p, they enter through

    gradient   ∂L/∂z
    curvature  W u,  W = ∂²L/∂z²
    mixed      ∂_α ⟨∂L/∂z, u⟩  with z and u held fixed

where L is the batch's mean loss. Autograd at the logits serves any loss; the parametric
cross-entropy has closed forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Batch
from autobalance.hypergradient.mixed import mixed_products
from autobalance.losses.parametric import adjusted_cross_entropy

Outputs = Float[Tensor, "B *outputs"]
"""Logits of a batch as its network returns them: (B, K), (B, L) of L labels, (B, K, d1, ...)."""
LossFunction = Callable[[Tensor, Batch], Tensor]
"""From logits and their batch to the mean loss, differentiable."""


@runtime_checkable
class LogitLoss(Protocol):
    """A training loss with parameters α, seen from the logits."""

    def value(self, logits: Outputs, batch: Batch) -> Float[Tensor, ""]:
        """The batch's mean loss L, differentiable in the logits."""

    def curvature(self, logits: Outputs, batch: Batch, tangents: Outputs) -> Outputs:
        """W u."""

    def mixed(self, logits: Outputs, batch: Batch, tangents: Outputs) -> tuple[Tensor, ...]:
        """∂_α ⟨∂L/∂z, u⟩, one tensor for each tensor in α."""


class AutogradLoss:
    """Any loss whose parameters are tensors.

    Parameters
    ----------
    function
        From logits and batch to the mean loss. For Gauss–Newton it should be convex in the logits.
    alpha
        The tensors to differentiate by, which ``function`` uses.
    """

    def __init__(self, function: LossFunction, alpha: Sequence[Tensor]) -> None:
        self.value = function
        self.alpha = tuple(alpha)

    def _slope(self, logits: Outputs, batch: Batch) -> tuple[Outputs, Outputs]:
        """Logits of their own, and the gradient there with its graph."""
        leaf = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(leaf, batch), leaf, create_graph=True)
        return leaf, gradient

    def curvature(self, logits: Outputs, batch: Batch, tangents: Outputs) -> Outputs:
        """W u by differentiating ⟨∂L/∂z, u⟩ once more."""
        leaf, gradient = self._slope(logits, batch)
        (product,) = torch.autograd.grad(
            gradient, leaf, tangents, allow_unused=True, materialize_grads=True
        )
        return product

    def mixed(self, logits: Outputs, batch: Batch, tangents: Outputs) -> tuple[Tensor, ...]:
        """∂_α ⟨∂L/∂z, u⟩; 0 for what the loss does not use."""
        _, gradient = self._slope(logits, batch)
        return torch.autograd.grad(
            gradient, self.alpha, tangents, allow_unused=True, materialize_grads=True
        )


class ParametricLoss:
    r"""The parametric cross-entropy, with α its values w, l and δ, each of shape (K, G).

    With q = softmax(δ⊙z + l), W = w · diag(δ)(diag q − qqᵀ)diag(δ): the plain softmax Hessian would
    be wrong. The mixed products are those of :mod:`autobalance.hypergradient.mixed`.

    Parameters
    ----------
    weight, additive, multiplicative
        The values, without graph.
    """

    def __init__(
        self,
        weight: Float[Tensor, "K G"],
        additive: Float[Tensor, "K G"],
        multiplicative: Float[Tensor, "K G"],
    ) -> None:
        self.values = (weight, additive, multiplicative)

    def value(self, logits: Float[Tensor, "B K"], batch: Batch) -> Float[Tensor, ""]:
        """The batch's mean loss."""
        return adjusted_cross_entropy(logits, batch.targets, *self.values, group=batch.groups)

    def curvature(
        self, logits: Float[Tensor, "B K"], batch: Batch, tangents: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B K"]:
        """W u in closed form."""
        weight, additive, multiplicative = (values.to(logits) for values in self.values)
        target, group = batch.targets.long(), batch.group_codes.long()
        delta = multiplicative.T[group]
        q = torch.softmax(delta * logits + additive.T[group], dim=1)
        scaled = delta * tangents
        centred = scaled - (q * scaled).sum(1, keepdim=True)
        share = weight[target, group][:, None] / len(logits)
        return share * delta * q * centred

    def mixed(
        self, logits: Float[Tensor, "B K"], batch: Batch, tangents: Float[Tensor, "B K"]
    ) -> tuple[Tensor, ...]:
        """∂ over (w, l, δ) in closed form."""
        weight, additive, multiplicative = (values.to(logits) for values in self.values)
        return mixed_products(
            logits.detach().T[None],
            tangents.T[None],
            batch.targets.long(),
            batch.group_codes.long(),
            weight,
            additive,
            multiplicative,
            logits.new_full((1, len(logits)), 1 / max(1, len(logits))),
        )
