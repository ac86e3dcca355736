"""Figures of many classes or cells, by frequency rank instead of by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autobalance.report.figures.canvas import (
    PERCENT,
    STEPS,
    entitle,
    name_axis,
    new_figure,
    rank_axes,
)
from autobalance.report.figures.marks import Panel, parameter_scale
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

_FREQUENT_FIRST = "frequency rank, most frequent first"


def error_ranks(before: Sequence[Number], after: Sequence[Number], width: Number) -> Figure:
    """Error by frequency rank before and after: a dot per unit and a running mean of each."""
    figure = new_figure(width, 296.0)
    axes = rank_axes(figure, 44.0, 240.0, len(before))
    series = [
        (np.asarray(values, dtype=float), PALETTE[colour])
        for values, colour in ((before, "before"), (after, "accent"))
    ]
    for values, colour in series:
        _rank_dots(axes, values, colour)
    for values, colour in series:
        smooth = _running_mean(values)
        axes.plot(np.arange(1, len(smooth) + 1), smooth, color=colour, linewidth=2.2)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    axes.yaxis.set_major_formatter(PERCENT)
    name_axis(axes, _FREQUENT_FIRST)
    return figure


def parameter_ranks(panels: Sequence[Panel], width: Number) -> Figure:
    """One panel per kind of parameter, one below the other, by frequency rank."""
    top, height, bottom = 28.0, 130.0, 22.0
    block = top + height + bottom
    total = block * len(panels) + 20
    figure = new_figure(width, total)
    for index, panel in enumerate(panels):
        axes = rank_axes(figure, total - index * block - top - height, height, len(panel.values))
        entitle(axes, panel.heading)
        axes.axhline(panel.neutral, color=PALETTE["muted"], linewidth=1)
        if panel.beside is not None:
            _rank_dots(axes, np.asarray(panel.beside, dtype=float), PALETTE["other"], alpha=0.8)
        _rank_dots(axes, np.asarray(panel.values, dtype=float), PALETTE["accent"], alpha=1)
        parameter_scale(axes, panel, horizontal=False, ticks=5)
    name_axis(axes, _FREQUENT_FIRST)
    return figure


def _rank_dots(axes: Axes, values: np.ndarray, colour: str, alpha: Number = 0.45) -> None:
    """A dot per rank as one path of round-capped points, which stays small for thousands."""
    ranks = np.arange(1, len(values) + 1, dtype=float)
    across = np.stack([ranks - 1e-3, ranks + 1e-3, np.full(len(ranks), np.nan)], axis=1)
    axes.plot(
        across.ravel(),
        np.repeat(values, 3),
        color=colour,
        alpha=alpha,
        linewidth=3.2,
        solid_capstyle="round",
        clip_on=False,
    )


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over about a twentieth of the ranks around each; units without a value do not count."""
    half = max(2, len(values) // 40)
    window = np.ones(2 * half + 1)
    there = ~np.isnan(values)
    total = np.convolve(np.where(there, values, 0), window, "same")
    size = np.convolve(there.astype(float), window, "same")
    mean = np.full(len(values), np.nan)
    np.divide(total, size, out=mean, where=size > 0)
    return mean
