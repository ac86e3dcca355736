"""One step of gradient descent, p = η v: H is taken for a multiple of the identity."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from autobalance.hypergradient.solvers import Draws, Solution


class OneStep:
    """p = η v, without any curvature product.

    It is the hypergradient of a single step of training (DARTS, Liu et al., ICLR 2019): the
    cheapest, with the right sign, blind to which directions training has settled.

    Parameters
    ----------
    step
        η; it scales the hypergradient and changes nothing else.
    """

    def __init__(self, step: float = 1.0) -> None:
        self.step = step

    def solve(self, draws: Draws, right: Float[Tensor, "P"]) -> Solution:
        """Scale the right-hand side."""
        return Solution(self.step * right, 0, self.step)
