"""Figures of both widths show what they are given."""

import numpy as np
import pytest

from autobalance.report.svg import PALETTE
from autobalance.reproduce.images.drawing import (
    Course,
    Curve,
    Errors,
    Split,
    cost_figure,
    figure3,
    figure4,
)

WIDTHS = (760, 340)
COUNTS = np.array([100.0, 50.0, 10.0])
COURSE = Course("l in ours", "l", [1.5, 2.0, 3.0], np.array([[0.0, 0], [1, -1], [2, -2]]))
RISING = Errors("5% held out", [60.0, 30.0], [50.0, 70.0], [55.0, 65.0])
FALLING = Errors("10% held out", [60.0, 30.0], [50.0, 40.0], [55.0, 45.0])
CURVES = {
    "emphasis": [
        Curve("AutoBalance", [2.3], [20.0], None, "accent", "o", True),
        Curve("Optuna TPE", [2.0, 5.0, 9.9], [24.0, 21.0, 21.0], None, "before", "s"),
    ],
    "Δ & l": [Curve("SMAC3", [3.0, 9.0], [30.0, 28.0], 0.5, "other", "D")],
}


def drawn(figure, width, panels):
    """The figure's axes; that it can be drawn, fits and has no panel on another."""
    figure.draw_without_rendering()
    assert figure.get_figwidth() * 72 == pytest.approx(width)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == panels
    for place, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        for other in boxes[:place]:
            assert not box.overlaps(other)
    return figure.axes


@pytest.mark.parametrize("width", WIDTHS)
def test_sizes_and_courses(width):
    bars, first, second = drawn(figure3(Split(COUNTS, 0.2), [COURSE, COURSE], width), width, 3)
    heights = [patch.get_height() for patch in bars.patches]
    assert heights == pytest.approx([80, 40, 8, 20, 10, 2])
    tops = [patch.get_y() + patch.get_height() for patch in bars.patches[3:]]
    assert tops == pytest.approx(COUNTS)
    assert bars.get_legend().get_texts()[0].get_text() == "held out, 20%"
    for axes in (first, second):
        for line, values in zip(axes.lines, COURSE.values.T, strict=True):
            assert list(line.get_xdata()) == COURSE.epochs
            assert line.get_ydata().tolist() == values.tolist()
        dark, light = (sum(line.get_color()[:3]) for line in axes.lines)
        assert dark < light  # frequent before rare
        assert axes.get_ylabel() == "l"


@pytest.mark.parametrize("width", WIDTHS)
def test_errors_over_the_epochs(width):
    first, second = drawn(figure4([RISING, FALLING], width), width, 2)
    for axes, errors in ((first, RISING), (second, FALLING)):
        lines = [list(line.get_ydata()) for line in axes.lines]
        assert lines == [errors.train, errors.held_out, errors.test]
        assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2]] * 3
        # one scale for all panels, in which errors that rise are seen as well
        assert axes.get_ylim() == pytest.approx((0, 1.04 * 70))
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert labels == ["training", "held out", "test"]
    assert second.get_legend() is None


@pytest.mark.parametrize("width", WIDTHS)
def test_error_against_cost(width):
    panels = drawn(cost_figure(CURVES, width), width, 2)
    for axes, curves in zip(panels, CURVES.values(), strict=True):
        own = [line for line in axes.lines if line.get_marker() not in "_|"]  # no ends of bars
        steps, marks = own[::2], own[1::2]
        (*_, last), bars = curves, axes.collections
        assert len(bars) == sum(curve.spread is not None for curve in curves)
        for bar in bars:
            (low, high) = bar.get_segments()[0][:, 1]
            assert (low, high) == pytest.approx(
                (last.error[-1] - last.spread, last.error[-1] + last.spread)
            )
        for curve, step, mark in zip(curves, steps, marks, strict=True):
            assert step.get_drawstyle() == "steps-post"
            for line in (step, mark):
                assert list(line.get_xdata()) == curve.cost
                assert list(line.get_ydata()) == curve.error
                assert line.get_color() == PALETTE[curve.colour]
            assert mark.get_marker() == curve.shape
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [curve.name for curve in curves]
        assert axes.get_xlim()[0] == 0
