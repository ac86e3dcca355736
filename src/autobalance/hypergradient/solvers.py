"""Solvers of H p = v, behind one protocol.

``draws(j)`` gives the curvature operator of the j-th training batch: a solver that wants a fresh
batch for every term asks for 0, 1, 2, ...; one that wants a fixed operator asks once. Weight decay
and damping are already on the diagonal of H.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from autobalance.hypergradient.gauss_newton import LinearOperator

Draws = Callable[[int], LinearOperator]


class Solution(NamedTuple):
    """An approximate solution of H p = v.

    ``residual`` is ‖v − Hp‖ / ‖v‖, with a solver's own damping in H, where it knows it and NaN
    otherwise; ``step`` the η it used (NaN without one); ``products`` the curvature products.
    """

    value: Float[Tensor, "P"]
    products: int
    step: float = math.nan
    residual: float = math.nan


@runtime_checkable
class Solver(Protocol):
    """Solves H p = v."""

    def solve(self, draws: Draws, right: Float[Tensor, "P"]) -> Solution:
        """Approximate p."""
