"""The Hessian of the training loss by double backward, H p = ∂_θ ⟨∇_θ L, p⟩.

Indefinite for networks, and it wants second derivatives of every operation: a custom one that has
none may give wrong products without an error, which
:func:`~autobalance.hypergradient.validation.check_model` finds by comparison. The gradient's graph
is kept, which takes two to three times the memory of a training step. Gauss–Newton is the default;
this is what it is compared with, and what Algorithm 2 as published uses.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Batch
from autobalance.hypergradient.gauss_newton import LinearOperator
from autobalance.hypergradient.logit_loss import LogitLoss
from autobalance.hypergradient.network import Network, flat


class Hessian:
    """Products with the Hessian of the loss on a batch."""

    def at(self, network: Network, loss: LogitLoss, batch: Batch, draw: int = 0) -> LinearOperator:
        """The operator of one batch, whose gradient keeps its graph."""
        leaves = network.leaves()
        value = loss.value(network.logits(batch.inputs, leaves, draw), batch)
        gradient = flat(
            torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True), leaves
        )

        def product(vector: Float[Tensor, "P"]) -> Float[Tensor, "P"]:
            return flat(
                torch.autograd.grad(gradient, leaves, vector, retain_graph=True, allow_unused=True),
                leaves,
            )

        return product
