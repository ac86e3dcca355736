from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autobalance.report import figures
from autobalance.report.figures import Block, Marks, Panel
from autobalance.report.svg import PALETTE


def dots(axes: Axes, colour: str, *, filled: bool | None = None) -> list[tuple[float, float]]:
    """Positions of the single markers of a colour."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() in {"o", "D"}
        and line.get_markeredgecolor() == PALETTE[colour]
        and (filled is None or filled == (line.get_markerfacecolor() == PALETTE[colour]))
    ]


def bars(axes: Axes) -> list[list[float]]:
    return [segment[:, 0].tolist() for bar in axes.collections for segment in bar.get_segments()]


def texts(figure: Figure) -> Sequence[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def bold(figure: Figure) -> Sequence[str]:
    return [
        text.get_text()
        for axes in figure.axes
        for text in axes.texts
        if text.get_weight() == "bold"
    ]


def test_comparison_marks_every_method_and_the_kept_one() -> None:
    marks = [Marks(0.1, [0.08, 0.12]), Marks(0.2, [0.15, 0.3])]
    figure = figures.comparison_figure(["ours", "other"], marks, "ours", 760)
    (axes,) = figure.axes
    assert dots(axes, "accent") == [(0.1, 0)]
    assert dots(axes, "muted") == [(0.2, 1)]
    assert bars(axes) == [[0.08, 0.12], [0.15, 0.3]]
    assert axes.get_xlim()[0] == 0
    assert bold(figure) == ["ours"]


def test_errors_that_lie_close_together_are_not_squeezed_from_zero() -> None:
    marks = [Marks(0.80, [0.79, 0.81]), Marks(0.82, [0.81, 0.83])]
    (axes,) = figures.comparison_figure(["a", "b"], marks, "a", 760).axes
    assert 0.7 < axes.get_xlim()[0] < 0.79


def test_differences_to_the_best_tell_ties_from_the_worse() -> None:
    marks = [Marks(0.0), Marks(0.01, [-0.01, 0.02]), Marks(0.1, [0.05, 0.15])]
    figure = figures.difference_figure(
        ["best", "tied", "worse"], marks, [False, False, True], "tied", 760
    )
    (axes,) = figure.axes
    assert dots(axes, "accent", filled=True) == [(0.0, 0), (0.01, 1)]
    assert dots(axes, "muted", filled=False) == [(0.1, 2)]
    assert bars(axes) == [[-0.01, 0.02], [0.05, 0.15]]
    assert axes.get_xlim()[0] < -0.01
    assert axes.get_xlim()[1] > 0.15
    assert bold(figure) == ["tied"]
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert "0" in ticks
    assert "+5" in ticks


def test_differences_that_are_all_zero_still_have_a_scale() -> None:
    (axes,) = figures.difference_figure(["a", "b"], [Marks(0.0)] * 2, [False] * 2, "a", 340).axes
    low, high = axes.get_xlim()
    assert low < 0 < high


def test_error_rows_say_which_were_not_measured() -> None:
    nothing = Marks(None)
    figure = figures.error_rows(
        ["a", "b"], [Marks(0.3, [0.2, 0.4]), nothing], [Marks(0.1, [0.0, 0.2]), nothing], 760
    )
    (axes,) = figure.axes
    assert [x for x, _ in dots(axes, "before", filled=False)] == [0.3]
    assert [x for x, _ in dots(axes, "accent", filled=True)] == [0.1]
    assert texts(figure) == ["a", "b", "not measured"]


def test_errors_of_which_none_was_measured_can_be_drawn() -> None:
    figure = figures.error_rows(["a"], [Marks(None)], [Marks(None)], 340)
    assert texts(figure) == ["a", "not measured"]


def test_blocks_share_one_scale_and_leave_out_what_was_not_measured() -> None:
    nothing = Marks(None)
    blocks = [
        Block("Error", [Marks(0.2), Marks(0.3)], [Marks(0.1), Marks(0.25)]),
        Block("Gap", [Marks(0.5), nothing], [Marks(0.4), nothing]),
    ]
    figure = figures.error_blocks(["one", "two"], blocks, 760)
    error, gap = figure.axes
    assert error.get_xlim() == gap.get_xlim()
    assert error.get_xlim()[0] == 0
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Error", "Gap"]
    assert bars(error) == [[0.2, 0.1], [0.3, 0.25]]
    assert dots(gap, "accent") == [(0.4, 0)]
    assert texts(figure).count("not measured") == 1


@pytest.mark.parametrize(("width", "columns"), [(760, 2), (340, 1)])
def test_parameter_panels_stand_side_by_side_where_there_is_room(width: int, columns: int) -> None:
    panels = [Panel("weight w", [0.5, 4.0], 1.0), Panel("additive l", [0.0, -2.0], 0.0)]
    figure = figures.parameter_rows(["a", "b"], panels, width)
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == columns
    weight, additive = figure.axes
    assert weight.get_title(loc="left") == "weight w"
    assert weight.get_xscale() == "log"
    assert 1 in weight.get_xticks()
    assert additive.get_xscale() == "linear"
    assert dots(additive, "accent", filled=True) == [(0.0, 0), (-2.0, 1)]
    assert bars(weight) == [[1, 0.5], [1, 4]]


def test_a_second_loss_stands_beside_the_first_in_the_same_rows() -> None:
    panel = Panel("additive l", [0.0, -2.0], 0.0, beside=[0.5, -3.0])
    (axes,) = figures.parameter_rows(["a", "b"], [panel], 760).axes
    first, second = dots(axes, "accent", filled=True), dots(axes, "other", filled=False)
    assert [x for x, _ in first] == [0.0, -2.0]
    assert [x for x, _ in second] == [0.5, -3.0]
    for row, ((_, above), (_, below)) in enumerate(zip(first, second, strict=True)):
        assert row - 0.5 < above < row < below < row + 0.5
    assert axes.get_xlim()[0] < -3
    assert axes.get_xlim()[1] > 0.5
