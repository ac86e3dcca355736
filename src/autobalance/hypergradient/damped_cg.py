"""Conjugate gradients on (H + λI) p = v."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.errors import SearchError
from autobalance.hypergradient.cg import conjugate_gradient
from autobalance.hypergradient.solvers import Draws, Solution

AUTO = "auto"
_SHARE = 0.3


class CG:
    """Conjugate gradients on one fixed operator: the fewest products for a given accuracy.

    H has to be positive definite, as Gauss–Newton with any damping is. If a direction of negative
    curvature turns up, the last iterate is the answer.

    Parameters
    ----------
    iterations
        Products at most. A few are enough: what later ones add is the noise of one batch.
    damping
        λ, added to the diagonal on top of the weight decay, or ``"auto"`` (default): 0.3 times the
        curvature along v, vᵀHv / vᵀv, which costs nothing and follows the scale of the network. One
        batch sees few directions; in those that it does not see, p is v/λ.
    tolerance
        Relative residual at which to stop.

    Raises
    ------
    SearchError
        If ``damping`` is another word.
    """

    def __init__(
        self, iterations: int = 5, damping: float | str = AUTO, tolerance: float = 1e-3
    ) -> None:
        if isinstance(damping, str) and damping != AUTO:
            raise SearchError(f"damping is {damping!r}; give a number or {AUTO!r}")
        self.iterations = iterations
        self.damping = damping
        self.tolerance = tolerance

    def solve(self, draws: Draws, right: Float[Tensor, "P"]) -> Solution:
        """Iterate on the first draw.

        Raises
        ------
        SearchError
            If there is no answer: a product is not finite, or curvature is negative at once.

        Notes
        -----
        Without any curvature, as at zero training loss, p is 0: the loss has nothing to act by, and
        the record's ``signal`` tells.
        """
        operator = draws(0)
        largest = float(right.abs().max())
        if largest == 0:
            return Solution(torch.zeros_like(right), 0)
        unit = right / largest  # whose square may be beyond float32, and some devices have no other
        length = largest * float(unit.norm())
        unit = unit / unit.norm()
        # The first direction of conjugate gradients is the right-hand side.
        known = [operator(unit)]
        if not bool(known[0].any()) and self.damping in (0.0, AUTO):
            return Solution(torch.zeros_like(right), 1)
        damping = self.damping
        if isinstance(damping, str):
            damping = _SHARE * max(float(unit @ known[0]), 0.0)

        def damped(vectors: Float[Tensor, "1 P"]) -> Float[Tensor, "1 P"]:
            product = known.pop() if known else operator(vectors[0])
            return (product + damping * vectors[0])[None]

        solution = conjugate_gradient(
            damped, unit[None], lambda vectors: vectors, self.tolerance, self.iterations
        )
        if not bool(torch.isfinite(solution.value).all()) or solution.iterations == 0:
            raise SearchError(
                "conjugate gradients find no direction, because curvature is negative or not "
                "finite; use the Gauss–Newton curvature or a larger damping, and lower the "
                "learning rate if the training itself diverges"
            )
        return Solution(
            length * solution.value[0],
            solution.iterations,
            residual=float(solution.residual[0]),
        )
