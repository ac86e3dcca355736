"""The machines against scikit-learn's, a grid of angles and the conditions of optimality."""

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.svm import SVC

from autobalance.errors import DataError
from autobalance.reproduce.theory.margins import (
    Boundary,
    ball_svm,
    cosine,
    cost_sensitive_svm,
)
from autobalance.reproduce.theory.separable import separable_points

DIMENSIONS = pytest.mark.parametrize("dimension", [2, 5, 12])
HARD = {"kernel": "linear", "C": 1e8, "tol": 1e-8}


def data_and_margins(dimension, seed=0, values=(3.0, 1.2)):
    data = separable_points(seed, dimension, 6, 20)
    return data, data.by_class(values)


@DIMENSIONS
def test_through_the_origin_it_is_scikit_learn_s_on_mirrored_points(dimension):
    data, margins = data_and_margins(dimension)
    scaled = data.points / margins[:, None]
    mirrored = SVC(**HARD).fit(np.vstack([scaled, -scaled]), [*data.labels, *-data.labels])
    ours = cost_sensitive_svm(*data, margins)
    np.testing.assert_allclose(ours.normal, mirrored.coef_[0], rtol=1e-4, atol=1e-4)
    assert ours.offset == 0


@DIMENSIONS
def test_with_an_intercept_it_is_scikit_learn_s(dimension):
    data, _ = data_and_margins(dimension)
    shifted = data._replace(points=data.points + 2.0)
    theirs = SVC(**HARD).fit(*shifted)
    ours = cost_sensitive_svm(*shifted, np.ones(26), intercept=True)
    np.testing.assert_allclose(ours.normal, theirs.coef_[0], rtol=1e-4, atol=1e-4)
    assert ours.offset == pytest.approx(theirs.intercept_[0], rel=1e-4)


def test_margins_with_an_intercept_share_out_one_gap():
    data, margins = data_and_margins(3)
    plain = cost_sensitive_svm(*data, np.ones(26), intercept=True)
    uneven = cost_sensitive_svm(*data, margins, intercept=True)
    assert cosine(plain.normal, uneven.normal) == pytest.approx(1)
    scores = data.points @ uneven.normal + uneven.offset
    assert scores[data.labels > 0].min() == pytest.approx(3.0)
    assert scores[data.labels < 0].max() == pytest.approx(-1.2)


@DIMENSIONS
def test_machine_on_balls_meets_the_conditions_of_optimality(dimension):
    data, margins = data_and_margins(dimension)
    radii = (margins - 1) / np.linalg.norm(cost_sensitive_svm(*data, margins).normal)
    normal = ball_svm(*data, radii).normal
    length = np.linalg.norm(normal)
    surplus = data.labels * (data.points @ normal) - radii * length - 1
    assert surplus.min() >= -1e-8
    active = surplus < 1e-6
    # (E.6): the normal's direction is a non-negative sum of the worst points of the balls
    worst = data.labels[:, None] * data.points - np.outer(radii, normal / length)
    _, residual = nnls(worst[active].T, normal / length)
    assert residual < 1e-6


@pytest.mark.parametrize("intercept", [True, False])
def test_machine_on_balls_has_the_largest_margin_of_all_angles(intercept):
    data, _ = data_and_margins(2)
    radii = data.by_class((0.3, 0.1))
    found = ball_svm(*data, radii, intercept=intercept)
    free = (found.distances(*data) - radii).min()
    best = 0.0
    for angle in np.linspace(0, 2 * np.pi, 20001):
        reach = data.labels * (data.points @ [np.cos(angle), np.sin(angle)]) - radii
        sides = [reach[data.labels == label].min() for label in (1, -1)]
        best = max(best, sum(sides) / 2 if intercept else min(sides))
    assert free >= best
    assert free == pytest.approx(best, rel=1e-3)
    assert free == pytest.approx(1 / np.linalg.norm(found.normal), rel=1e-6)


def test_wrong_radii_give_another_direction():
    data, margins = data_and_margins(5)
    machine = cost_sensitive_svm(*data, margins).normal
    radii = (margins - 1) / np.linalg.norm(machine)
    assert cosine(machine, ball_svm(*data, radii).normal) > 1 - 1e-9
    assert cosine(machine, ball_svm(*data, radii / 2).normal) < 0.9999


@pytest.mark.parametrize("intercept", [True, False])
def test_points_that_cannot_be_separated_are_refused(intercept):
    points = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    labels = np.array([1, 1, -1, -1])
    with pytest.raises(DataError, match="no linear boundary"):
        cost_sensitive_svm(points, labels, np.ones(4), intercept=intercept)


def test_balls_that_overlap_are_refused():
    data, _ = data_and_margins(2)
    with pytest.raises(DataError, match="no linear boundary"):
        ball_svm(*data, np.full(26, 100.0))


def test_distances_have_a_sign():
    points, labels = np.array([[3.0, 0.0], [3.0, 0.0]]), np.array([1, -1])
    boundary = Boundary(np.array([2.0, 0.0]), offset=-2.0)
    np.testing.assert_allclose(boundary.distances(points, labels), [2.0, -2.0])
