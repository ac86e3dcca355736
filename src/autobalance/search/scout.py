"""A function that costs little goes ahead of one that costs much and differs little from it.

The costly function f is evaluated where it was lowest, α₀, and the cheap one f̃ is minimised with
the slope there put right, f̃(α) + ⟨∇f(α₀) − ∇f̃(α₀), α − α₀⟩: near α₀ this is f to first order, with
the curvature of f̃. Where that minimum promises no more than the tolerance, α₀ is the answer
(first-order model management: Alexandrov, Dennis, Lewis and Torczon, *Structural Optimization* 15,
1998; MG/OPT: Nash, *Optimization Methods and Software* 14, 2000).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.search.descent import BestPoint, OutOfEvaluations, Slope, descend

_EVALUATIONS_OF_A_MODEL = 30
_MOST_MODELS = 4
"""Models in a row, after which the cheap function's curvature is too far from the costly one's."""


def follow(
    scout: Callable[[Float[ndarray, "A"]], Slope],
    function: BestPoint,
    start: Float[ndarray, "A"],
    bounds: list[tuple[float, float]],
    reach: Float[ndarray, "A"],
    tolerance: float,
) -> str:
    """Minimise ``function`` from near its minimum; the result lies in ``function``.

    Parameters
    ----------
    scout
        The cheap function.
    function
        What is minimised, with its slope.
    start
        First point.
    bounds, reach, tolerance
        As in :func:`~autobalance.search.descent.descend`, which takes over where models
        promise what is not there, or little by little.

    Returns
    -------
    str
        ``"converged"``, ``"iteration limit"`` or ``"stalled"``.
    """
    try:
        function(start)
        for _ in range(_MOST_MODELS):
            before = function.value
            model = BestPoint(
                _Corrected(scout, function.alpha, function.slope), _EVALUATIONS_OF_A_MODEL
            )
            here, _ = model(function.alpha)
            descend(model, function.alpha, bounds, reach, tolerance, near=True)
            if here - model.value < tolerance:
                return "converged"
            function(model.alpha)
            if before - function.value < tolerance:
                break
        return descend(function, function.alpha, bounds, reach, tolerance, near=True)
    except OutOfEvaluations:
        return "iteration limit"


class _Corrected:
    """The cheap function with the slope of the costly one at a point."""

    def __init__(
        self,
        scout: Callable[[Float[ndarray, "A"]], Slope],
        alpha: Float[ndarray, "A"],
        slope: Float[ndarray, "A"],
    ) -> None:
        self._scout, self._alpha = scout, alpha
        self._there = scout(alpha)
        self._error = slope - self._there[1]

    def __call__(self, alpha: Float[ndarray, "A"]) -> Slope:
        known = np.array_equal(alpha, self._alpha)
        value, slope = self._there if known else self._scout(alpha)
        return value + float(self._error @ (alpha - self._alpha)), slope + self._error
