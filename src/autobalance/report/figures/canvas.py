"""Paper for the figures: sizes in CSS pixels, quiet axes, and rows with a name each."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from autobalance.report.scale import ERROR_RATES
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

MOST_ROWS = 40
NARROW = 480
ROW = 26.0
TEXT = 12.0
SMALL = 11.0
STEPS = [1, 2, 2.5, 5, 10]

PERCENT = FuncFormatter(lambda value, _: ERROR_RATES.tick(value))
POINTS = FuncFormatter(lambda value, _: ERROR_RATES.difference_tick(value))
FACTOR = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
_WHOLE = FuncFormatter(lambda value, _: f"{value:,.0f}")
_LETTER = 0.58 * TEXT
_FULL_WIDTH = 1.7
_NAME_LINE = 19.0
_AXIS = 26.0
_RIGHT = 22.0


@dataclass(frozen=True)
class Canvas:
    """Axes with one row per name, the row's number being its height on the axis.

    Parameters
    ----------
    axes
        Where to draw.
    pitch
        Pixels from one row to the next: what a step within a row is measured against.
    """

    axes: Axes
    pitch: Number


def new_figure(width: Number, height: Number) -> Figure:
    """A figure of this size in CSS pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def add_axes(figure: Figure, left: Number, bottom: Number, width: Number, height: Number) -> Axes:
    """Axes at this place in pixels, without frame and ticks."""
    across, up = (72 * size for size in figure.get_size_inches())
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=PALETTE["muted"], pad=5)
    return axes


@dataclass(frozen=True)
class Rows:
    """How rows of names fit a width: names beside their rows, or above them where that is short.

    Parameters
    ----------
    names
        From the top down.
    width
        Of the whole figure.
    row
        Height that the marks of a row need.
    """

    names: Sequence[str]
    width: Number
    row: Number = ROW

    @property
    def above(self) -> bool:
        """Whether names stand above their rows: on a phone, if they are long."""
        return self.width < NARROW and self._longest > 0.38 * self.width

    @property
    def gutter(self) -> Number:
        """Room for names at the left, never more than two fifths of the figure."""
        return 10.0 if self.above else min(14 + self._longest, 0.4 * self.width)

    @property
    def pitch(self) -> Number:
        """Pixels from one row to the next."""
        return self.row + (_NAME_LINE if self.above else 0)

    @property
    def height(self) -> Number:
        """Of all rows together."""
        return self.pitch * len(self.names)

    @property
    def _longest(self) -> float:
        return max(map(text_width, self.names))

    def canvas(
        self,
        figure: Figure,
        top: Number,
        left: Number,
        width: Number,
        *,
        named: bool = True,
        bold: Sequence[int] = (),
    ) -> Canvas:
        """Add axes for these rows ``top`` pixels below the figure's top; ``named`` labels them."""
        up = 72 * float(figure.get_size_inches()[1])
        axes = add_axes(figure, left, up - top - self.height, width, self.height)
        half = self.row / 2 / self.pitch
        axes.set_ylim(len(self.names) - 1 + half, half - 1)
        axes.yaxis.set_major_locator(NullLocator())
        axes.grid(axis="x", color=PALETTE["rule"], linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5 if width < NARROW else 7, steps=STEPS))
        if named:
            for number, name in enumerate(self.names):
                self._write(axes, number, name, bold=number in bold)
        return Canvas(axes, self.pitch)

    def _write(self, axes: Axes, number: int, name: str, *, bold: bool) -> None:
        room = self.width - 20 if self.above else self.gutter - 10
        axes.annotate(
            shortened(name, room),
            (0, number),
            (0, self.row / 2 + 3) if self.above else (-10, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="left" if self.above else "right",
            va="center_baseline",
            fontsize=TEXT,
            color=PALETTE["ink"],
            weight="bold" if bold else "normal",
            parse_math=False,
            annotation_clip=False,
            # no line of the grid runs through a name
            bbox={"facecolor": PALETTE["paper"], "edgecolor": "none", "pad": 1}
            if self.above
            else None,
        )


def row_canvas(rows: Rows, bold: Sequence[int] = (), caption: str = "") -> Canvas:
    """A figure of rows and nothing else; ``caption`` says what the axis below them measures."""
    figure = new_figure(rows.width, rows.height + _AXIS + 6 + (18 if caption else 0))
    across = rows.width - rows.gutter - _RIGHT
    canvas = rows.canvas(figure, 6, rows.gutter, across, bold=bold)
    if caption:
        name_axis(canvas.axes, caption)
    return canvas


def rank_axes(figure: Figure, bottom: Number, height: Number, size: int) -> Axes:
    """Axes over frequency ranks 1 to ``size``, across the figure."""
    left = 52.0
    across = 72 * float(figure.get_size_inches()[0]) - left - 14
    axes = add_axes(figure, left, bottom, across, height)
    axes.set_xlim(0.5, size + 0.5)
    axes.grid(axis="y", color=PALETTE["rule"], linewidth=0.8)
    count_from_one(axes, size)
    return axes


def count_from_one(axes: Axes, last: Number) -> None:
    """Mark whole numbers on the horizontal axis, the first of them 1."""
    ticks = [1, *(t for t in MaxNLocator(5, integer=True).tick_values(1, last) if 1 < t <= last)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(_WHOLE)


def name_axis(axes: Axes, text: str) -> None:
    """Say below the axes what the horizontal axis measures."""
    axes.set_xlabel(text, fontsize=SMALL, color=PALETTE["muted"])


def entitle(axes: Axes, heading: str) -> None:
    """A heading above the axes, at their left."""
    axes.set_title(heading, loc="left", fontsize=TEXT, color=PALETTE["ink"], pad=9)


def text_width(text: str) -> float:
    """Roughly how wide a text is in pixels; the page's fonts are unknown here."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return _LETTER * (len(text) + (_FULL_WIDTH - 1) * wide)


def shortened(name: str, room: Number) -> str:
    """The name with its middle left out, since the end of a cell's name is its group."""
    if text_width(name) <= room:
        return name
    kept = int(room / _LETTER)
    while kept > 3 and text_width(_without_middle(name, kept)) > room:
        kept -= 1
    return _without_middle(name, kept)


def _without_middle(name: str, kept: int) -> str:
    tail = (kept - 1) // 2
    return f"{name[: kept - 1 - tail]}…{name[len(name) - tail :]}"
