"""A training loss of decisions, seen from the outputs of a network that makes several at once.

A network that labels pixels, or one of several labels, returns more than one decision for an
example. ``read`` takes its outputs z to rows r = R z, one for each decision, and is linear, so that

    gradient   ∂L/∂z = Rᵀ ∂L/∂r
    curvature  W u = Rᵀ W_r R u
    mixed      ∂_α ⟨∂L/∂z, u⟩ = ∂_α ⟨∂L/∂r, R u⟩

where the loss of the rows has the right-hand sides. Rᵀ comes from autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Batch
from autobalance.hypergradient.logit_loss import LogitLoss, Outputs

Read = Callable[[Tensor, Batch], tuple[Tensor, Batch]]
"""From outputs and their batch to logits (M, K) of M decisions, with a batch of their targets."""


class LossOfDecisions:
    """A :class:`~autobalance.hypergradient.logit_loss.LogitLoss` on rows, as one on outputs.

    Parameters
    ----------
    loss
        Of one row for each decision.
    read
        From outputs to rows, linear in the outputs; which decisions there are depends on the
        batch alone.
    """

    def __init__(self, loss: LogitLoss, read: Read) -> None:
        self.loss, self.read = loss, read

    def value(self, logits: Outputs, batch: Batch) -> Float[Tensor, ""]:
        """The batch's mean loss over its decisions."""
        return self.loss.value(*self.read(logits, batch))

    def curvature(self, logits: Outputs, batch: Batch, tangents: Outputs) -> Outputs:
        """W u."""
        leaf = logits.detach().requires_grad_()
        rows, decided = self.read(leaf, batch)
        along, _ = self.read(tangents, batch)
        product = self.loss.curvature(rows.detach(), decided, along)
        (back,) = torch.autograd.grad(rows, leaf, product)
        return back

    def mixed(self, logits: Outputs, batch: Batch, tangents: Outputs) -> tuple[Tensor, ...]:
        """∂_α ⟨∂L/∂z, u⟩."""
        rows, decided = self.read(logits, batch)
        along, _ = self.read(tangents, batch)
        return self.loss.mixed(rows, decided, along)
