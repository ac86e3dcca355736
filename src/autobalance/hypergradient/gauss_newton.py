"""Gauss–Newton curvature, G = Jᵀ W J: positive semi-definite whatever the network.

J is the Jacobian of the batch's logits by θ and W the second derivative of the loss at the logits
(:mod:`autobalance.hypergradient.logit_loss`). A product costs one tangent and one backward pass; it
needs no second derivative of the network, so it works with operations that have none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Batch
from autobalance.hypergradient.logit_loss import LogitLoss
from autobalance.hypergradient.network import Network, flat
from autobalance.hypergradient.tangent import ForwardMode, Tangent

LinearOperator = Callable[[Float[Tensor, "P"]], Float[Tensor, "P"]]


class GaussNewton:
    """Products G p = Jᵀ (W (J p)) on a batch.

    Parameters
    ----------
    tangent
        How J p is taken; by default as in the mixed term, and in forward mode on its own.
    """

    def __init__(self, tangent: Tangent | None = None) -> None:
        self.tangent = tangent

    def with_default(self, tangent: Tangent) -> GaussNewton:
        """The same, with ``tangent`` where none was named."""
        other = copy.copy(self)
        other.tangent = self.tangent or tangent
        return other

    def at(self, network: Network, loss: LogitLoss, batch: Batch, draw: int = 0) -> LinearOperator:
        """The operator of one batch."""
        tangent = self.tangent or ForwardMode()

        def product(vector: Float[Tensor, "P"]) -> Float[Tensor, "P"]:
            tangents = tangent(network, batch.inputs, vector, draw)
            # A graph kept for all products would save 7% of the time, and take its memory on top
            # of that of the tangents; made and used up here, it takes what it takes in training.
            leaves = network.leaves()
            logits = network.logits(batch.inputs, leaves, draw)
            cotangent = loss.curvature(logits.detach(), batch, tangents)
            return flat(torch.autograd.grad(logits, leaves, cotangent, allow_unused=True), leaves)

        return product
