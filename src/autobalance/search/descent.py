"""L-BFGS-B in moving boxes: a quasi-Newton method that is kept from leaping.

A quasi-Newton method that has seen little curvature takes steps that leave the range in which the
held-out data say anything, and training a model there is slow. So each round stays within a box
around the best point, and the next round starts where it ended, until a round ends inside its box.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

Slope = tuple[float, Float[ndarray, "A"]]

_SMALLEST_SLOPE = 1e-6
_FIRST_STEP = 1.0
_LATER_FIRST_STEP = 0.2
_ABNORMAL = 2
"""L-BFGS-B's status when a line search ends without a decrease."""
_MOST_IN_VAIN = 4
"""Evaluations in a row without a decrease worth having, after which a round ends. A line search
goes back tenfold each time, but near the optimum rounding keeps it going twenty times."""
_ROUNDING = 100.0
"""Multiples of the tolerance that the slope may still promise where rounding has the last word."""


class OutOfEvaluations(Exception):
    """The search has spent its evaluations."""


class InVain(Exception):
    """Several evaluations in a row brought no decrease worth having."""


class BestPoint:
    """A function that counts its evaluations and remembers where it was lowest."""

    alpha: Float[ndarray, "A"]
    slope: Float[ndarray, "A"]

    def __init__(
        self, function: Callable[[Float[ndarray, "A"]], Slope], max_evaluations: int
    ) -> None:
        self._function = function
        self._left = max_evaluations
        self.value = np.inf

    def __call__(self, alpha: Float[ndarray, "A"]) -> Slope:
        """Value and slope; the best point is not computed again."""
        if np.isfinite(self.value) and np.array_equal(alpha, self.alpha):
            return self.value, self.slope
        if not self._left:
            raise OutOfEvaluations
        self._left -= 1
        value, slope = self._function(alpha)
        if value < self.value:
            self.value, self.slope, self.alpha = value, slope, np.array(alpha)
        return value, slope

    def forget(self) -> Float[ndarray, "A"]:
        """Give up the best value, when the function has changed, and return its point."""
        self.value = np.inf
        return self.alpha


def descend(
    function: BestPoint,
    start: Float[ndarray, "A"],
    bounds: list[tuple[float, float]],
    reach: Float[ndarray, "A"],
    tolerance: float,
    near: bool = False,
) -> str:
    """Minimise ``function`` from ``start``; the result lies in ``function``.

    Parameters
    ----------
    function
        What is minimised, with its slope.
    start
        First point.
    bounds
        Lowest and highest value of each entry.
    reach
        Half the width of a round's box.
    tolerance
        Stop when a step lowers the function by less than this.
    near
        Whether the start is near the minimum, so that the first step is a short one.

    Returns
    -------
    str
        ``"converged"``, ``"iteration limit"``, or ``"stalled"`` when a line search found no
        decrease.
    """
    low, high = (np.array(side) for side in zip(*bounds, strict=True))
    first_step = _LATER_FIRST_STEP if near else _FIRST_STEP
    try:
        function(start)
        while True:
            centre, value, slope = function.alpha, function.value, function.slope
            box_low, box_high = np.maximum(low, centre - reach), np.minimum(high, centre + reach)
            if _promise(function, box_low, box_high) < tolerance:
                return "converged"
            # The first step of L-BFGS-B is the slope: the unit sets its largest entry.
            unit = first_step / max(float(np.abs(slope).max()), _SMALLEST_SLOPE)
            first_step = _LATER_FIRST_STEP
            try:
                outcome = minimize(
                    _Scaled(function, unit, tolerance),
                    centre,
                    jac=True,
                    method="L-BFGS-B",
                    bounds=list(zip(box_low, box_high, strict=True)),
                    options={
                        "ftol": unit * tolerance / max(unit * abs(value), 1.0),
                        "gtol": unit * _SMALLEST_SLOPE,
                    },
                )
                stalled = outcome.status == _ABNORMAL
            except InVain:
                stalled = _promise(function, box_low, box_high) > _ROUNDING * tolerance
            at_box = (function.alpha <= box_low) & (box_low > low)
            at_box |= (function.alpha >= box_high) & (box_high < high)
            if value - function.value < tolerance or not at_box.any():
                return "stalled" if stalled else "converged"
    except OutOfEvaluations:
        return "iteration limit"


class _Scaled:
    """The function in the unit of a round, which ends when it is evaluated in vain."""

    def __init__(self, function: BestPoint, unit: float, tolerance: float) -> None:
        self._function, self._unit, self._tolerance = function, unit, tolerance
        self._lowest = function.value
        self._in_vain = 0

    def __call__(self, alpha: Float[ndarray, "A"]) -> Slope:
        if self._in_vain == _MOST_IN_VAIN:
            raise InVain
        value, slope = self._function(alpha)
        better = self._lowest - value >= self._tolerance
        self._in_vain = 0 if better else self._in_vain + 1
        self._lowest = min(self._lowest, value)
        return self._unit * value, self._unit * slope


def _promise(function: BestPoint, low: Float[ndarray, "A"], high: Float[ndarray, "A"]) -> float:
    """By how much the slope at the best point could lower the function within a box."""
    furthest = np.where(function.slope > 0, function.alpha - low, function.alpha - high)
    return float(function.slope @ furthest)
