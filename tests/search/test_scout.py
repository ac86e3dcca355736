"""A cheap function goes ahead: few evaluations of the costly one, and its minimum all the same."""

import numpy as np
import pytest

from autobalance.search.descent import BestPoint
from autobalance.search.scout import follow

CURVATURE = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 4.0]])
LOWEST = np.array([0.5, -0.3, 1.2])
BOUNDS, REACH, TOLERANCE = [(-3.0, 3.0)] * 3, np.full(3, 2.0), 1e-6


def quadratic(lowest, curvature=CURVATURE):
    def function(alpha):
        slope = curvature @ (alpha - lowest)
        return 0.5 * float(slope @ (alpha - lowest)), slope

    return function


def followed(scout, start, function=None, bounds=BOUNDS, most=50, tolerance=TOLERANCE):
    evaluations = []
    function = function or quadratic(LOWEST)

    def counted(alpha):
        evaluations.append(alpha.copy())
        return function(alpha)

    best = BestPoint(counted, most)
    status = follow(scout, best, np.array(start), bounds, REACH, tolerance)
    return status, best, len(evaluations)


def test_the_curvature_of_the_scout_is_enough():
    """Its own minimum is off by 0.2: the first step from there lands where the slope vanishes."""
    scout = quadratic(LOWEST + 0.2)
    status, best, evaluations = followed(scout, LOWEST + 0.2)
    assert (status, evaluations) == ("converged", 2)
    np.testing.assert_allclose(best.alpha, LOWEST, atol=2e-3)


def test_no_point_is_computed_twice_by_a_model():
    seen = []

    def scout(alpha):
        seen.append(tuple(alpha))
        return quadratic(LOWEST)(alpha)

    followed(scout, LOWEST + 0.2)
    assert len(set(seen[:3])) == 3


def test_a_start_that_is_the_minimum_is_evaluated_once():
    status, best, evaluations = followed(quadratic(LOWEST), LOWEST)
    assert (status, evaluations, best.value) == ("converged", 1, 0.0)


@pytest.mark.parametrize("scale", [0.2, 0.6, 2.0, 20.0])
def test_a_scout_of_another_curvature_leads_there_too(scale):
    status, best, _ = followed(quadratic(LOWEST + 0.2, scale * CURVATURE), LOWEST + 0.2)
    assert status == "converged"
    assert best.value < 100 * TOLERANCE


def test_a_scout_that_is_wrong_about_everything_does_no_harm():
    def wrong(alpha):
        return float(np.sin(7 * alpha).sum()), 7 * np.cos(7 * alpha)

    status, best, _ = followed(wrong, [0.0, 0.0, 0.0])
    assert status == "converged"
    assert best.value < 100 * TOLERANCE


def test_bounds_are_kept():
    bounds = [(-3.0, 0.4), (-3.0, 3.0), (-3.0, 3.0)]
    _, best, evaluations = followed(quadratic(LOWEST + 0.1), [0.4, -0.2, 1.3], bounds=bounds)
    rest = np.linalg.solve(CURVATURE[1:, 1:], -CURVATURE[1:, 0] * (0.4 - LOWEST[0]))
    np.testing.assert_allclose(best.alpha, [0.4, *(LOWEST[1:] + rest)], atol=2e-3)
    assert evaluations == 2


@pytest.mark.parametrize("most", [1, 2])
def test_the_limit_of_evaluations_is_kept(most):
    scout = quadratic(LOWEST + 0.2, 3 * CURVATURE)
    status, _, evaluations = followed(scout, LOWEST + 0.2, most=most)
    assert (status, evaluations) == ("iteration limit", most)
