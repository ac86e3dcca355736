import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.report.figures import Marks, error_rows
from autobalance.report.figures.canvas import Rows, new_figure, shortened, text_width

LONG = "an extremely long name of a class · land"


def test_long_names_keep_their_end() -> None:
    short = shortened(LONG, 150)
    assert short.startswith("an ext")
    assert short.endswith("land")
    assert "…" in short
    assert shortened("short", 150) == "short"


@given(st.text(min_size=1), st.floats(40, 400))
def test_a_shortened_name_fits_its_room(name: str, room: float) -> None:
    short = shortened(name, room)
    assert text_width(short) <= room
    assert (short == name) == (text_width(name) <= room)


def test_full_width_signs_take_more_room() -> None:
    assert unicodedata.east_asian_width("漢") == "W"
    assert text_width("漢字") > text_width("ab")


@pytest.mark.parametrize(("width", "above"), [(760, False), (340, True)])
def test_long_names_stand_above_their_rows_on_a_phone(width: int, above: bool) -> None:
    rows = Rows([LONG, "b"], width)
    assert rows.above == above
    assert not Rows(["a", "b"], width).above
    figure = error_rows([LONG, "b"], [Marks(0.2)] * 2, [Marks(0.1)] * 2, width)
    assert LONG in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("names", [["a", "b", "c"], [LONG] * 3])
def test_rows_are_a_pitch_apart_and_keep_off_the_edges(names: list[str]) -> None:
    rows = Rows(names, 340, 30)
    canvas = rows.canvas(new_figure(340, 300), 10, rows.gutter, 200)
    transform = canvas.axes.transData.transform
    heights = [float(transform((0, row))[1]) for row in range(3)]
    assert heights[0] - heights[1] == pytest.approx(rows.pitch)
    box = canvas.axes.bbox
    assert heights[2] - box.y0 == pytest.approx(15)
    assert box.y1 - heights[0] == pytest.approx(rows.pitch - 15)
