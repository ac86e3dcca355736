from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autobalance.report import figures
from autobalance.report.figures import Marks, Panel
from autobalance.report.svg import PALETTE


def dots(axes: Axes, colour: str) -> list[tuple[float, float]]:
    """Positions of the single markers of a colour."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() == "o" and line.get_markeredgecolor() == PALETTE[colour]
    ]


def texts(figure: Figure) -> Sequence[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_comparison_marks_every_method_and_highlights_one() -> None:
    marks = [Marks(0.1, [0.08, 0.12]), Marks(0.2, [0.15, 0.3])]
    figure = figures.comparison_figure(["ours", "other"], marks, "ours", 760)
    (axes,) = figure.axes
    assert dots(axes, "accent") == [(0.1, 0)]
    assert dots(axes, "muted") == [(0.2, 1)]
    bars = [segment[:, 0].tolist() for bar in axes.collections for segment in bar.get_segments()]
    assert bars == [[0.08, 0.12], [0.15, 0.3]]
    assert axes.get_xlim()[0] == 0
    assert [text.get_text() for text in axes.texts if text.get_weight() == "bold"] == ["ours"]


def test_errors_that_lie_close_together_are_not_squeezed_from_zero() -> None:
    marks = [Marks(0.80, [0.79, 0.81]), Marks(0.82, [0.81, 0.83])]
    (axes,) = figures.comparison_figure(["a", "b"], marks, "a", 760).axes
    assert 0.7 < axes.get_xlim()[0] < 0.79


def test_error_rows_say_which_were_not_measured() -> None:
    nothing = Marks(None)
    figure = figures.error_rows(
        ["a", "b"], [Marks(0.3, [0.2, 0.4]), nothing], [Marks(0.1, [0.0, 0.2]), nothing], 760
    )
    (axes,) = figure.axes
    assert [x for x, _ in dots(axes, "before")] == [0.3]
    assert [x for x, _ in dots(axes, "accent")] == [0.1]
    assert texts(figure) == ["a", "b", "not measured"]


def test_long_names_keep_their_end() -> None:
    names = ["an extremely long name of a class indeed · land", "short"]
    figure = figures.error_rows(names, [Marks(0.1)] * 2, [Marks(0.1)] * 2, 340)
    long, short = texts(figure)
    assert "…" in long
    assert long.startswith("an ext")
    assert long.endswith("· land")
    assert short == "short"


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
    assert additive.lines[-1].get_xdata().tolist() == [0.0, -2.0]


def test_many_units_are_drawn_by_rank_with_gaps_where_nothing_was_measured() -> None:
    before, after = [0.4] * 1000, [0.2] * 1000
    after[10] = np.nan
    (axes,) = figures.error_ranks(before, after, 760).axes
    assert len(axes.lines) == 4
    smooth = axes.lines[-1].get_ydata()
    np.testing.assert_allclose(smooth, 0.2)
    assert axes.get_xlim() == (0.5, 1000.5)
    assert axes.get_xticks()[0] == 1


def test_parameters_by_rank_have_one_panel_each() -> None:
    panels = [Panel("weight w", list(np.geomspace(0.1, 9, 60)), 1.0)] * 2
    figure = figures.parameter_ranks(panels, 340)
    assert len(figure.axes) == 2
    assert figure.axes[0].get_yscale() == "log"


def test_the_search_shows_each_value_and_the_best_so_far() -> None:
    (axes,) = figures.search_figure([1, 2, 3], [0.5, 0.6, 0.4], [0.5, 0.5, 0.4], 760).axes
    values, best = axes.lines
    assert list(values.get_ydata()) == [0.5, 0.6, 0.4]
    assert list(best.get_ydata()) == [0.5, 0.5, 0.4]
    assert best.get_drawstyle() == "steps-post"
