"""L-BFGS-B in moving boxes on functions whose minimum is known."""

import numpy as np
import pytest

from autobalance.search.descent import BestPoint, descend


def quadratic(centre, curvature):
    def function(alpha):
        gap = alpha - centre
        return 0.5 * float(curvature @ gap**2), curvature * gap

    return function


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_finds_a_minimum_many_boxes_away(scale):
    centre = np.array([7.0, -5.0, 0.3])
    best = BestPoint(quadratic(centre, scale * np.array([1.0, 3.0, 10.0])), 200)
    status = descend(best, np.zeros(3), [(-9.0, 9.0)] * 3, np.full(3, 2.0), 1e-9 * scale)
    assert status == "converged"
    np.testing.assert_allclose(best.alpha, centre, atol=1e-2)


def test_stops_at_the_bounds():
    best = BestPoint(quadratic(np.array([5.0, 0.0]), np.ones(2)), 200)
    descend(best, np.zeros(2), [(-3.0, 3.0), (-1.0, 1.0)], np.full(2, 2.0), 1e-9)
    np.testing.assert_allclose(best.alpha, [3.0, 0.0], atol=1e-6)


def test_never_leaves_the_box_of_its_round():
    seen = []

    def flat_then_steep(alpha):
        seen.append(alpha.copy())
        return float(np.cosh(alpha[0] - 6)), np.sinh(alpha - 6)

    best = BestPoint(flat_then_steep, 100)
    descend(best, np.zeros(1), [(-50.0, 50.0)], np.array([2.0]), 1e-8)
    lowest = np.minimum.accumulate([np.cosh(a[0] - 6) for a in seen])
    for alpha, known in zip(seen[1:], lowest, strict=False):
        nearest = min((a for a in seen if np.cosh(a[0] - 6) <= known), key=lambda a: abs(a - alpha))
        assert abs(alpha - nearest)[0] <= 4.0 + 1e-9
    assert best.alpha[0] == pytest.approx(6.0, abs=1e-2)


def test_counts_its_evaluations():
    calls = []

    def function(alpha):
        calls.append(alpha)
        return quadratic(np.full(4, 3.0), np.arange(1.0, 5.0))(alpha)

    best = BestPoint(function, 5)
    assert descend(best, np.zeros(4), [(-9.0, 9.0)] * 4, np.full(4, 1.0), 1e-12) == (
        "iteration limit"
    )
    assert len(calls) == 5
    assert best.value == min(function(alpha)[0] for alpha in calls[:5])


def test_does_not_chase_rounding_where_nothing_is_to_be_gained():
    """A slope that is wrong by its rounding would send a line search back twenty times."""
    calls = []

    def function(alpha):
        calls.append(alpha)
        return 1.0 + 1e-9 * float(alpha @ alpha), np.full(2, 1e-7)

    best = BestPoint(function, 100)
    assert descend(best, np.zeros(2), [(-9.0, 9.0)] * 2, np.full(2, 4.0), 1e-5) == "converged"
    assert len(calls) == 1
