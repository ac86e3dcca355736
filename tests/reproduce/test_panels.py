import pytest

from autobalance.reproduce.panels import make_logarithmic, panels


@pytest.mark.parametrize(("width", "columns"), [(760, 2), (340, 1)])
def test_panels_fit_the_width_and_do_not_overlap(width, columns):
    figure, drawn = panels(width, 200.0, ["one", "two"])
    assert figure.get_figwidth() * 72 == pytest.approx(width)
    assert len({round(axes.get_position().x0, 6) for axes in drawn}) == columns
    first, second = (axes.get_position() for axes in drawn)
    assert first.x1 < second.x0 or second.y1 < first.y0
    for axes in drawn:
        assert axes.bbox.height == pytest.approx(200)


@pytest.mark.parametrize(
    ("number", "columns", "spans"), [(5, 2, 2), (4, 3, 3), (4, 2, 1), (1, 2, 2)]
)
def test_the_first_panel_takes_up_what_the_others_leave(number, columns, spans):
    _, drawn = panels(760, 200.0, [str(each) for each in range(number)], columns)
    places = [axes.get_position() for axes in drawn]
    widths = [place.width * 760 for place in places]
    (_, (half, _)) = panels(760, 200.0, ["left", "right"])
    gap = 760 / 2 - half.get_position().width * 760
    assert widths[0] == pytest.approx(760 / columns * spans - gap)
    assert widths[1:] == pytest.approx([760 / columns - gap] * (number - 1))
    # all lines are full: the last panel ends where the first line does
    ends = [place.x1 for place in places]
    assert ends[-1] == pytest.approx(max(ends))
    assert len({round(place.y0, 6) for place in places}) == -(-(number + spans - 1) // columns)


def test_powers_of_ten_are_written_with_raised_digits():
    _, (axes,) = panels(760, 200.0, ["one"])
    axes.plot([1, 1e3], [1e-4, 1])
    make_logarithmic(axes)
    assert axes.yaxis.get_major_formatter()(1e-4) == "10⁻⁴"
    assert axes.xaxis.get_major_formatter()(1000.0) == "10³"
    assert len(axes.xaxis.get_minorticklocs()) == 0
