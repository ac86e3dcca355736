"""What the figure of points, balls and boundaries shows."""

import numpy as np
import pytest

from autobalance.reproduce.theory.balls import Scene, boundary_figure
from autobalance.reproduce.theory.margins import Boundary, ball_svm, cost_sensitive_svm
from autobalance.reproduce.theory.separable import separable_points

DATA = separable_points(0, 2, 4, 9)


@pytest.fixture(scope="module")
def scene():
    ordinary = cost_sensitive_svm(*DATA, np.ones(13), intercept=True)
    found = ball_svm(*DATA, DATA.by_class((0.4, 0.1)), intercept=True)
    return Scene("heading", DATA, (0.4, 0.1), ordinary, found)


@pytest.mark.parametrize("width", [760, 340])
def test_units_are_equal_and_everything_is_inside(scene, width):
    for axes in boundary_figure([scene, scene], width).axes:
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        box = axes.bbox
        assert (right - left) / box.width == pytest.approx((high - low) / box.height)
        for (across, up), radius in zip(DATA.points, DATA.by_class(scene.radii), strict=True):
            assert left < across - radius < across + radius < right
            assert low < up - radius < up + radius < high


def test_lines_lie_on_the_boundaries_and_the_strip_touches_the_nearest_ball(scene):
    (axes,) = boundary_figure([scene], 760).axes
    minority, majority, found, ordinary = axes.lines
    assert len(minority.get_xdata()) == 4
    assert len(majority.get_xdata()) == 9
    for line, boundary in ((found, scene.found), (ordinary, scene.ordinary)):
        ends = np.stack(line.get_data(), axis=1)
        np.testing.assert_allclose(ends @ boundary.normal, -boundary.offset, atol=1e-9)
    (strip,) = axes.patches
    distances = scene.found.distances(strip.get_xy(), np.ones(5, dtype=int))
    np.testing.assert_allclose(np.abs(distances), scene.free)
    nearest = np.abs(scene.found.distances(*DATA)) - DATA.by_class(scene.radii)
    assert nearest.min() == pytest.approx(scene.free)


def test_names_stand_on_their_side(scene):
    right = Scene("", DATA, (0.1, 0.1), scene.ordinary, Boundary(np.array([1.0, 1.0])))
    (axes,) = boundary_figure([right], 760).axes
    places = {text.get_text(): text.xy for text in axes.texts}
    assert places["minority"] > (0.5, 0.5)
    assert places["majority"] < (0.5, 0.5)
