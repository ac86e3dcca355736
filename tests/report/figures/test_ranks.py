import numpy as np

from autobalance.report import figures
from autobalance.report.figures import Panel
from autobalance.report.svg import PALETTE


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


def test_a_second_loss_by_rank_has_its_own_colour() -> None:
    panel = Panel("additive l", [0.0] * 60, 0.0, beside=[-2.0] * 60)
    (axes,) = figures.parameter_ranks([panel], 760).axes
    height = {line.get_color(): line.get_ydata()[0] for line in axes.lines}
    assert height[PALETTE["accent"]] == 0
    assert height[PALETTE["other"]] == -2
    assert axes.get_ylim()[0] < -2
