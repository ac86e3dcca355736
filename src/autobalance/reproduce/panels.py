"""Panels side by side on wide screens and one below the other on phones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from autobalance.report.figures.canvas import (
    NARROW,
    SMALL,
    add_axes,
    entitle,
    name_axis,
    new_figure,
)
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER = FuncFormatter(lambda value, _: "10" + str(round(math.log10(value))).translate(_RAISED))
_TOP, _BOTTOM, _LEFT, _RIGHT = 30.0, 52.0, 58.0, 16.0


def panels(
    width: Number, height: Number, headings: Sequence[str], columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with axes of this height for each heading, and a quiet grid in each.

    On wide screens they stand in so many columns, by default all in one line; the first one takes
    up what the others leave of its line.
    """
    columns = 1 if width < NARROW else columns or len(headings)
    block = _TOP + height + _BOTTOM
    lines = -(-len(headings) // columns)
    total = block * lines
    figure = new_figure(width, total)
    share = width / columns
    spare = lines * columns - len(headings)
    drawn = []
    for index, heading in enumerate(headings):
        line, column = divmod(index + spare if index else 0, columns)
        bottom = total - (line + 1) * block + _BOTTOM
        across = share * (1 if index else 1 + spare) - _LEFT - _RIGHT
        axes = add_axes(figure, column * share + _LEFT, bottom, across, height)
        axes.grid(color=PALETTE["rule"], linewidth=0.8)
        entitle(axes, heading)
        drawn.append(axes)
    return figure, drawn


def name_axes(axes: Axes, across: str, up: str) -> None:
    """Say what both axes measure."""
    name_axis(axes, across)
    axes.set_ylabel(up, fontsize=SMALL, color=PALETTE["muted"])


def make_logarithmic(axes: Axes) -> None:
    """Scale both axes by powers of ten, marking only those."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(_POWER)


def write(
    axes: Axes,
    text: str,
    at: tuple[Number, Number],
    colour: str,
    *,
    align: str = "left",
    shift: tuple[Number, Number] = (0, 0),
    of: str = "data",
) -> None:
    """Write a label, on paper of its own so that no line runs through it.

    Parameters
    ----------
    axes, text, colour
        Where, what and how.
    at
        A point of the data, or of the axes as shares if ``of`` is ``"axes fraction"``.
    align
        Which end of the text is there.
    shift
        Pixels to the right and up.
    """
    axes.annotate(
        text,
        at,
        shift,
        xycoords=of,
        textcoords="offset points",
        ha=align,
        va="center_baseline",
        fontsize=SMALL,
        color=colour,
        annotation_clip=False,
        bbox={"facecolor": PALETTE["paper"], "edgecolor": "none", "pad": 1.5},
    )
