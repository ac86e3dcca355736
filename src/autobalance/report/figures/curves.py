"""Figures with two numeric axes: the search's course, and reliability diagrams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autobalance.report.figures.canvas import (
    NARROW,
    PERCENT,
    SMALL,
    STEPS,
    add_axes,
    count_from_one,
    entitle,
    name_axis,
    new_figure,
)
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

_SQUARE = 280.0
_MOST_IN_LINE = 3
_SMALLEST, _LARGEST = 3.5, 14.0


@dataclass(frozen=True)
class Curve:
    """Bins of a reliability diagram: stated probability, share right, share of the examples."""

    stated: Sequence[Number]
    right: Sequence[Number]
    weight: Sequence[Number]


@dataclass(frozen=True)
class Reliability:
    """One reliability diagram: probabilities before and after correction.

    ``upward`` says what the vertical axis measures.
    """

    heading: str
    raw: Curve
    corrected: Curve
    upward: str = "share right"


def search_figure(
    evaluations: Sequence[Number],
    objective: Sequence[Number],
    best: Sequence[Number] | None,
    unit: str,
    width: Number,
) -> Figure:
    """The held-out objective at each evaluation (dots) and, if given, the best so far (line)."""
    top, height, bottom, left = 12.0, 200.0, 44.0, 52.0
    figure = new_figure(width, top + height + bottom)
    axes = add_axes(figure, left, bottom, width - left - 14, height)
    axes.grid(axis="y", color=PALETTE["rule"], linewidth=0.8)
    axes.plot(evaluations, objective, "o", color=PALETTE["before"], markersize=4.5)
    if best is not None:
        axes.step(evaluations, best, where="post", color=PALETTE["accent"], linewidth=2)
    count_from_one(axes, max(evaluations))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    name_axis(axes, unit)
    return figure


def reliability_figure(diagrams: Sequence[Reliability], width: Number) -> Figure:
    """Share right against stated probability, one square each; the diagonal is the ideal.

    The larger a dot, the more examples are in its bin.
    """
    top, bottom, left, right, gap = 28.0, 50.0, 58.0, 16.0, 72.0
    columns = 1 if width < NARROW else min(len(diagrams), _MOST_IN_LINE)
    side = min(_SQUARE, (width - left - right - gap * (columns - 1)) / columns)
    block = top + side + bottom
    figure = new_figure(width, block * -(-len(diagrams) // columns))
    for index, diagram in enumerate(diagrams):
        line, column = divmod(index, columns)
        up = 72 * float(figure.get_size_inches()[1]) - line * block - top - side
        axes = add_axes(figure, left + column * (side + gap), up, side, side)
        _draw_reliability(axes, diagram)
    return figure


def _draw_reliability(axes: Axes, diagram: Reliability) -> None:
    entitle(axes, diagram.heading)
    curves = (diagram.raw, diagram.corrected)
    lowest = min((end for curve in curves for end in (*curve.stated, *curve.right)), default=0.0)
    start = min(math.floor(10 * lowest) / 10, 0.8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axis.set_major_formatter(PERCENT)
    axes.tick_params(axis="x", pad=11)  # the corner belongs to the other axis
    axes.set_xlim(start, 1)
    axes.set_ylim(start, 1)
    axes.grid(color=PALETTE["rule"], linewidth=0.8)
    axes.plot([start, 1], [start, 1], color=PALETTE["muted"], linewidth=1)
    for curve, colour, filled in (
        (diagram.raw, PALETTE["before"], False),
        (diagram.corrected, PALETTE["accent"], True),
    ):
        axes.plot(curve.stated, curve.right, color=colour, linewidth=1.4, alpha=0.6)
        for stated, share, weight in zip(curve.stated, curve.right, curve.weight, strict=True):
            axes.plot(
                stated,
                share,
                "o",
                markersize=_SMALLEST + (_LARGEST - _SMALLEST) * math.sqrt(weight),
                markerfacecolor=colour if filled else PALETTE["paper"],
                markeredgecolor=colour,
                markeredgewidth=1.6,
                alpha=0.85,
                clip_on=False,
            )
    name_axis(axes, "stated probability")
    axes.set_ylabel(diagram.upward, fontsize=SMALL, color=PALETTE["muted"])
