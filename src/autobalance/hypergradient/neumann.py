"""The truncated Neumann series, p = η Σ_{j ≤ J} (I − ηH)^j v.

The series converges to H⁻¹v if 0 < ηλ < 2 for every eigenvalue λ of H, and is what Lorraine, Vicol
and Duvenaud ("Optimizing millions of hyperparameters by implicit differentiation", AISTATS 2020)
propose and the paper uses. The sum is meant: Algorithm 2 as printed keeps the last term alone, and
drops η.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.errors import SearchError
from autobalance.hypergradient.solvers import Draws, Solution

AUTO = "auto"
_MOST_HALVINGS = 8
_GROWTH = 1.001
"""Growth of a term from one to the next that is more than rounding."""


class Neumann:
    """Sum of the first terms, by default each with a training batch of its own.

    With independent batches the sum is unbiased for that of the expected curvature, and one
    batch is in memory at a time.

    Parameters
    ----------
    terms
        J, the products with H; the term j = 0 is v itself.
    step
        η, or ``"auto"``: one over the largest eigenvalue that a few power iterations from v
        find. A fixed step diverges as soon as ηλ > 2, and λ changes by orders of magnitude
        in a training.
    batches
        ``"fresh"`` for each term, or ``"fixed"``.
    power_iterations
        Products spent on an automatic step.

    Raises
    ------
    SearchError
        If ``step`` or ``batches`` is something else.
    """

    def __init__(
        self,
        terms: int = 5,
        step: float | str = AUTO,
        batches: str = "fresh",
        power_iterations: int = 2,
    ) -> None:
        if isinstance(step, str) and step != AUTO:
            raise SearchError(f"step is {step!r}; give a number or {AUTO!r}")
        if batches not in ("fresh", "fixed"):
            raise SearchError(f"batches is {batches!r}; use 'fresh' or 'fixed'")
        self.terms = terms
        self.step = step
        self.batches = batches
        self.power_iterations = power_iterations

    def solve(self, draws: Draws, right: Float[Tensor, "P"]) -> Solution:
        """Sum the series; where a term grows, the step is halved and the sum begun again.

        Raises
        ------
        SearchError
            If the terms still grow after eight halvings.
        """
        step, products = (float(self.step), 0) if self.step != AUTO else self._step(draws, right)
        for _ in range(_MOST_HALVINGS + 1):
            total, used = self._sum(draws, right, step)
            products += used
            if total is not None:
                return Solution(step * total, products, step)
            step /= 2
        raise SearchError(
            f"the Neumann series grows, or is not finite, even with a step of {step:.1e}; use the "
            "Gauss–Newton curvature, which is never negative, and lower the learning rate if the "
            "training itself diverges"
        )

    def _sum(
        self, draws: Draws, right: Float[Tensor, "P"], step: float
    ) -> tuple[Float[Tensor, "P"] | None, int]:
        """Σ (I − ηH)^j v, or ``None`` where a term grows, and the products it took."""
        term, total, size = right, right.clone(), right.norm()
        fixed = draws(0) if self.batches == "fixed" else None
        for j in range(self.terms):
            # The operator of a fresh batch gets no name: it would keep its graph beside the next.
            term = term - step * (fixed or draws(j))(term)
            previous, size = size, term.norm()
            if not bool(size <= _GROWTH * previous):  # so also for NaN
                return None, j + 1
            total += term
        return total, self.terms

    def _step(self, draws: Draws, right: Float[Tensor, "P"]) -> tuple[float, int]:
        operator, vector = draws(0), right
        largest = torch.zeros(())
        for _ in range(self.power_iterations):
            vector = vector / vector.norm().clamp_min(torch.finfo(right.dtype).tiny)
            vector = operator(vector)
            largest = vector.norm()
        # Without any curvature, at zero training loss, every step is as good.
        return 1.0 / (float(largest) or 1.0), self.power_iterations
