"""The hypergradient of what training inputs were computed from, such as an augmentation's values.

With φ the parameters of an augmentation A and x̃ = A(x; φ) the inputs of a batch,

    dF/dφ = −∂_φ ⟨∇_θ L_train(θ; x̃(φ)), p⟩ = −(∂x̃/∂φ)ᵀ c,        c = ∇_x̃ ⟨∇_θ L_train, p⟩,

and since derivatives may change places, c = d/dε ∇_x̃ L_train(θ + εp; x̃) at ε = 0: forward mode
over one backward pass through the network, and then one ordinary backward pass through A. Draws
were made when x̃ was computed, so that φ moves under the same draws.

A central difference in ε is no substitute on networks with kinks. ∇_x̃ L jumps where a ReLU changes
sides, and in float32 the jumps within its step outweigh c itself (a test shows it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Batch
from autobalance.hypergradient.logit_loss import LogitLoss
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.tangent import Tangent


@dataclass(frozen=True, eq=False)
class AlongDirection:
    """The derivative of a training loss along p, h(x) = d/dε L(θ + εp; x), as a function of inputs.

    Parameters
    ----------
    network, loss, tangent
        As of the mixed term of the loss's own parameters.
    direction
        p.
    shares
        Which part of each batch's examples is this rank's, for a sum over the ranks; by default
        all.
    """

    network: Network
    loss: LogitLoss
    tangent: Tangent
    direction: Float[Tensor, "P"]
    shares: Sequence[float] = ()

    def of_examples(self, batch: Batch, draw: int = 0) -> Float[Tensor, "B"]:
        """What each example adds to h, ⟨∂L/∂z, J p⟩ with L the mean of the whole batch."""
        with torch.no_grad():
            logits = self.network.logits(batch.inputs, self.network.leaves(), draw)
        leaf = logits.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.loss.value(leaf, batch), leaf)
        moved = self.tangent(self.network, batch.inputs, self.direction, draw)
        return self._share(draw) * (slope * moved).sum(1)

    def by_inputs(self, batch: Batch, draw: int = 0) -> Tensor:
        """The gradient c = ∇_x̃ h, of the shape of the inputs.

        Where an operation of the network, or its backward pass, has no forward mode, it is had by
        differentiating ⟨∇_θ L, p⟩ once more, which keeps a larger graph.
        """
        network, loss = self.network, self.loss
        inputs = batch.inputs.detach()
        theta = tuple(leaf.detach() for leaf in network.leaves())
        along = tuple(network.split(self.direction))

        def slope(*values: Tensor) -> Tensor:
            by_inputs: Tensor = torch.func.grad(
                lambda x: loss.value(network.logits(x, values, draw), batch)
            )(inputs)
            return by_inputs

        try:
            with torch.no_grad():
                cotangent: Tensor = torch.func.jvp(slope, theta, along)[1]
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError:  # of which NotImplementedError is one
            leaf, leaves = inputs.requires_grad_(), network.leaves()
            value = loss.value(network.logits(leaf, leaves, draw), batch)
            gradients = torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True)
            pairs = zip(gradients, along, strict=True)
            product = torch.stack([(g * p).sum() for g, p in pairs if g is not None]).sum()
            (cotangent,) = torch.autograd.grad(product, leaf)
        return self._share(draw) * cotangent.detach()

    def _share(self, draw: int) -> float:
        return self.shares[draw] if self.shares else 1.0


InputTerm = Callable[[AlongDirection], Sequence[Tensor]]
"""From h to the derivatives of its mean over the training batches by what made their inputs."""


def through_inputs(
    along: AlongDirection, batches: Sequence[Batch], parameters: Sequence[Tensor]
) -> list[Tensor]:
    """Mean over the batches of ∂_φ ⟨∇_θ L, p⟩, for inputs that have a graph back to φ.

    Parameters
    ----------
    along
        h.
    batches
        Each one's inputs are a tensor with its graph, which is used up.
    parameters
        φ.
    """
    totals = [torch.zeros_like(each) for each in parameters]
    for place, batch in enumerate(batches):
        if not batch.inputs.requires_grad:  # nothing was drawn that moves with φ
            continue
        slopes = torch.autograd.grad(
            batch.inputs,
            list(parameters),
            along.by_inputs(batch, place),
            allow_unused=True,
            materialize_grads=True,
        )
        totals = [a + b / len(batches) for a, b in zip(totals, slopes, strict=True)]
    return totals
