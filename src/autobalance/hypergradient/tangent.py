"""u = J_z(θ) p, the change of a batch's logits along p, without a graph.

A tangent is one of two: forward mode, exact, or a finite difference, for models with an operation
that has no forward mode. Nothing is ever differentiated through u: reverse mode through the tangent
of a BatchNorm in training mode gives wrong numbers without an error.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.batches import Inputs
from autobalance.hypergradient.network import Network


@runtime_checkable
class Tangent(Protocol):
    """How the logits of a batch move along a vector."""

    def __call__(
        self, network: Network, inputs: Inputs, direction: Float[Tensor, "P"], draw: int = 0
    ) -> Float[Tensor, "B *outputs"]:
        """J_z(θ) p."""


class ForwardMode:
    """Forward-mode differentiation: one pass that carries values and tangents, exact.

    Not under ``inference_mode``, which drops tangents without a word.
    """

    def __call__(
        self, network: Network, inputs: Inputs, direction: Float[Tensor, "P"], draw: int = 0
    ) -> Float[Tensor, "B *outputs"]:
        """J_z(θ) p by ``torch.func.jvp``."""
        theta = tuple(leaf.detach() for leaf in network.leaves())
        along = tuple(network.split(direction))
        with torch.no_grad():
            tangents: Tensor = torch.func.jvp(
                lambda *values: network.logits(inputs, values, draw), theta, along
            )[1]
        return tangents.detach()


class FiniteDifference:
    """The central difference (z(θ + εp) − z(θ − εp)) / 2ε, with ε = step · ‖θ‖ / ‖p‖.

    It needs nothing but two forward passes and serves every model. The error is O(ε²) plus rounding
    of relative size eps/ε: eight digits are right in float64, three at best in float32 and about
    two with many kinks (ReLU) or in TF32.

    Parameters
    ----------
    step
        Length of εp relative to θ. By default the cube root of the rounding error, which balances
        the two errors, but a fifth of it: networks bend sooner than their weights' length says.
    """

    def __init__(self, step: float | None = None) -> None:
        self.step = step

    def __call__(
        self, network: Network, inputs: Inputs, direction: Float[Tensor, "P"], draw: int = 0
    ) -> Float[Tensor, "B *outputs"]:
        """J_z(θ) p by two forward passes, with one dropout mask for both."""
        theta = network.theta
        step = torch.finfo(theta.dtype).eps ** (1 / 3) / 5 if self.step is None else self.step
        length = theta.norm()
        length = torch.where(length > 0, length, 1)  # a head may begin at 0
        epsilon = step * length / direction.norm().clamp_min(torch.finfo(theta.dtype).tiny)
        with torch.no_grad():
            ahead, behind = (
                network.logits(inputs, network.split(theta + sign * epsilon * direction), draw)
                for sign in (1, -1)
            )
        tangents: Tensor = (ahead - behind) / (2 * epsilon)
        return tangents
