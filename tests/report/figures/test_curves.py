import numpy as np
import pytest

from autobalance.report import figures
from autobalance.report.figures import Curve, Reliability
from autobalance.report.svg import PALETTE

RAW = Curve([0.55, 0.8, 0.95], [0.5, 0.6, 0.7], [0.1, 0.5, 0.4])
CORRECTED = Curve([0.5, 0.7], [0.52, 0.69], [0.2, 0.8])


def test_the_search_shows_each_value_and_the_best_so_far() -> None:
    lowest = [0.5, 0.5, 0.4]
    (axes,) = figures.search_figure([1, 2, 3], [0.5, 0.6, 0.4], lowest, "evaluation", 760).axes
    values, best = axes.lines
    assert list(values.get_ydata()) == [0.5, 0.6, 0.4]
    assert list(best.get_ydata()) == lowest
    assert best.get_drawstyle() == "steps-post"
    assert axes.get_xticks()[0] == 1


def test_the_moves_of_a_loss_have_no_best_line() -> None:
    (axes,) = figures.search_figure([1, 2], [0.5, 0.6], None, "move", 760).axes
    assert len(axes.lines) == 1
    assert axes.get_xlabel() == "move"


@pytest.mark.parametrize(("width", "columns"), [(760, 2), (340, 1)])
def test_reliability_diagrams_are_squares_with_a_diagonal(width: int, columns: int) -> None:
    figure = figures.reliability_figure([Reliability("a", RAW, CORRECTED)] * 2, width)
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == columns
    for axes in figure.axes:
        assert axes.bbox.width == pytest.approx(axes.bbox.height)
        assert axes.get_xlim() == axes.get_ylim() == (0.5, 1)
        ideal = axes.lines[0]
        np.testing.assert_array_equal(ideal.get_xdata(), ideal.get_ydata())


def test_reliability_shows_every_bin_by_its_share() -> None:
    (axes,) = figures.reliability_figure([Reliability("a", RAW, CORRECTED)], 760).axes
    found = {
        colour: [
            (line.get_xdata()[0], line.get_ydata()[0], line.get_markersize())
            for line in axes.lines
            if line.get_marker() == "o" and line.get_markeredgecolor() == PALETTE[colour]
        ]
        for colour in ("before", "accent")
    }
    assert [dot[:2] for dot in found["before"]] == list(zip(RAW.stated, RAW.right, strict=True))
    assert [dot[:2] for dot in found["accent"]] == [(0.5, 0.52), (0.7, 0.69)]
    sizes = [dot[2] for dot in found["before"]]
    assert sizes[1] > sizes[2] > sizes[0]


def test_a_curve_without_bins_can_be_drawn() -> None:
    empty = Curve([], [], [])
    (axes,) = figures.reliability_figure([Reliability("a", empty, empty)], 340).axes
    assert axes.get_xlim() == (0, 1)
