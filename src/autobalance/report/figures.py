"""The report's figures, drawn with matplotlib's objects (no pyplot, no global state).

Up to :data:`MOST_ROWS` units get a labelled row each; more are drawn by frequency rank. Widths are
in CSS pixels, since the page shows a narrow drawing on phones and a wide one elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

MOST_ROWS = 40
_ROW = 26.0
_ROW_OF_TWO = 36.0
_TEXT = 12.0
_SMALL = 11.0
_LETTER = 0.6 * _TEXT
_NARROW = 480
_STEPS = [1, 2, 2.5, 5, 10]
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}%")
_FACTOR = FuncFormatter(lambda value, _: f"{value:g}")


@dataclass(frozen=True)
class Marks:
    """One row's error under one loss; ``interval`` may be missing."""

    value: Number | None
    interval: Sequence[Number] | None = None


@dataclass(frozen=True)
class Panel:
    """One kind of parameter: heading, values by unit, and the value that changes nothing."""

    heading: str
    values: Sequence[Number]
    neutral: Number


def comparison_figure(
    names: Sequence[str], marks: Sequence[Marks], highlighted: str, width: Number
) -> Figure:
    """One row per method: its error with interval; the highlighted one in the accent colour."""
    figure, axes = _row_canvas(names, width, bold=highlighted)
    for row, (name, mark) in enumerate(zip(names, marks, strict=True)):
        colour = PALETTE["accent" if name == highlighted else "muted"]
        _interval_dot(axes, row, mark, colour, filled=True)
    _start_near_zero(axes, [end for mark in marks for end in mark.interval or [mark.value or 0.0]])
    axes.xaxis.set_major_formatter(_PERCENT)
    return figure


def error_rows(
    names: Sequence[str], before: Sequence[Marks], after: Sequence[Marks], width: Number
) -> Figure:
    """One row per unit: error before (hollow) and after (filled), each with its interval."""
    figure, axes = _row_canvas(names, width, _ROW_OF_TWO)
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.value is None and new.value is None:
            _say_not_measured(axes, row)
        _interval_dot(axes, row - 0.17, old, PALETTE["before"], filled=False)
        _interval_dot(axes, row + 0.17, new, PALETTE["accent"], filled=True)
    ends = [e for m in (*before, *after) if m.value is not None for e in m.interval or [m.value]]
    _start_near_zero(axes, ends)
    axes.xaxis.set_major_formatter(_PERCENT)
    return figure


def error_ranks(before: Sequence[Number], after: Sequence[Number], width: Number) -> Figure:
    """Error by frequency rank before and after: a dot per unit and a running mean of each."""
    figure, axes = _rank_canvas(width, len(before))
    for values, colour in ((before, PALETTE["before"]), (after, PALETTE["accent"])):
        _rank_dots(axes, np.asarray(values, dtype=float), colour)
    for values, colour in ((before, PALETTE["before"]), (after, PALETTE["accent"])):
        smooth = _running_mean(np.asarray(values, dtype=float))
        axes.plot(np.arange(1, len(smooth) + 1), smooth, color=colour, linewidth=2.2)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_PERCENT)
    return figure


def parameter_rows(names: Sequence[str], panels: Sequence[Panel], width: Number) -> Figure:
    """One row per unit and one panel per kind of parameter, as stalks from the neutral value."""
    narrow = width < _NARROW
    gutter = _gutter(names, width)
    height = _ROW * len(names)
    top, bottom, gap = 28, 26, 28
    block = top + height + bottom
    total = block * len(panels) if narrow else block
    figure = _figure(width, total)
    columns = 1 if narrow else len(panels)
    span = (width - gutter - 14 - gap * (columns - 1)) / columns
    for index, panel in enumerate(panels):
        column, line = (0, index) if narrow else (index, 0)
        left = gutter + column * (span + gap)
        axes = _axes(figure, left, total - line * block - top - height, span, height)
        _style_rows(axes, len(names))
        axes.set_title(panel.heading, loc="left", fontsize=_TEXT, color=PALETTE["ink"], pad=9)
        if column == 0:
            _label_rows(axes, names, gutter)
        rows = np.arange(len(names))
        axes.axvline(panel.neutral, color=PALETTE["muted"], linewidth=1)
        axes.hlines(rows, panel.neutral, panel.values, color=PALETTE["accent"], linewidth=2)
        axes.plot(panel.values, rows, "o", color=PALETTE["accent"], markersize=7, clip_on=False)
        _parameter_scale(axes, panel, horizontal=True, ticks=4 if columns > 1 else 6)
    return figure


def parameter_ranks(panels: Sequence[Panel], width: Number) -> Figure:
    """One panel per kind of parameter, one below the other, by frequency rank."""
    top, height, bottom, left = 28.0, 130.0, 22.0, 52.0
    block = top + height + bottom
    total = block * len(panels) + 20
    figure = _figure(width, total)
    for index, panel in enumerate(panels):
        axes = _axes(figure, left, total - index * block - top - height, width - left - 12, height)
        _style_ranks(axes, len(panel.values))
        axes.set_title(panel.heading, loc="left", fontsize=_TEXT, color=PALETTE["ink"], pad=9)
        axes.axhline(panel.neutral, color=PALETTE["muted"], linewidth=1)
        _rank_dots(axes, np.asarray(panel.values, dtype=float), PALETTE["accent"], alpha=1)
        _parameter_scale(axes, panel, horizontal=False, ticks=5)
    axes.set_xlabel("frequency rank, most frequent first", fontsize=_SMALL, color=PALETTE["muted"])
    return figure


def search_figure(
    evaluations: Sequence[Number],
    objective: Sequence[Number],
    best: Sequence[Number],
    width: Number,
) -> Figure:
    """The held-out objective at each evaluation (dots) and the best so far (line)."""
    top, height, bottom, left = 12.0, 200.0, 44.0, 52.0
    figure = _figure(width, top + height + bottom)
    axes = _axes(figure, left, bottom, width - left - 14, height)
    _style(axes)
    axes.grid(axis="y", color=PALETTE["rule"], linewidth=0.8)
    axes.plot(evaluations, objective, "o", color=PALETTE["before"], markersize=4.5)
    axes.step(evaluations, best, where="post", color=PALETTE["accent"], linewidth=2)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.set_xlabel("evaluation", fontsize=_SMALL, color=PALETTE["muted"])
    return figure


def _figure(width: Number, height: Number) -> Figure:
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def _axes(figure: Figure, left: Number, bottom: Number, width: Number, height: Number) -> Axes:
    across, up = (72 * size for size in figure.get_size_inches())
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _style(axes: Axes) -> None:
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=_SMALL, labelcolor=PALETTE["muted"], pad=5)


def _style_rows(axes: Axes, rows: int) -> None:
    _style(axes)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(axis="x", color=PALETTE["rule"], linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))


def _style_ranks(axes: Axes, size: int) -> None:
    _style(axes)
    axes.set_xlim(0.5, size + 0.5)
    axes.grid(axis="y", color=PALETTE["rule"], linewidth=0.8)
    ticks = [1, *(t for t in MaxNLocator(5, integer=True).tick_values(1, size) if 1 < t <= size)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _row_canvas(
    names: Sequence[str], width: Number, row: Number = _ROW, bold: str = ""
) -> tuple[Figure, Axes]:
    gutter = _gutter(names, width)
    height = row * len(names)
    figure = _figure(width, height + 32)
    axes = _axes(figure, gutter, 26.0, width - gutter - 22, height)
    _style_rows(axes, len(names))
    _label_rows(axes, names, gutter, bold)
    return figure, axes


def _rank_canvas(width: Number, size: int) -> tuple[Figure, Axes]:
    figure = _figure(width, 296.0)
    axes = _axes(figure, 46.0, 44.0, width - 60, 240.0)
    _style_ranks(axes, size)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.set_xlabel("frequency rank, most frequent first", fontsize=_SMALL, color=PALETTE["muted"])
    return figure, axes


def _gutter(names: Sequence[str], width: Number) -> float:
    """Room for the longest name, but never more than two fifths of the drawing."""
    return min(12 + _LETTER * max(map(len, names)), 0.4 * width)


def _label_rows(axes: Axes, names: Sequence[str], gutter: Number, bold: str = "") -> None:
    room = int((gutter - 10) / (_LETTER))
    for row, name in enumerate(names):
        axes.annotate(
            _shortened(name, room),
            (0, row),
            (-10, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="center_baseline",
            fontsize=_TEXT,
            color=PALETTE["ink"],
            weight="bold" if name == bold else "normal",
            parse_math=False,
            annotation_clip=False,
        )


def _shortened(name: str, room: int) -> str:
    """The name with its middle left out, since the end of a cell's name is its group."""
    if len(name) <= room:
        return name
    tail = (room - 1) // 2
    return f"{name[: room - 1 - tail]}…{name[len(name) - tail :]}"


def _interval_dot(axes: Axes, row: Number, mark: Marks, colour: str, *, filled: bool) -> None:
    if mark.value is None:
        return
    if mark.interval is not None:
        low, high = mark.interval
        axes.hlines(row, low, high, color=colour, linewidth=2, alpha=0.55)
    axes.plot(
        mark.value,
        row,
        "o",
        markersize=7.5,
        markerfacecolor=colour if filled else PALETTE["paper"],
        markeredgecolor=colour,
        markeredgewidth=1.6,
        clip_on=False,
    )


def _say_not_measured(axes: Axes, row: int) -> None:
    axes.annotate(
        "not measured",
        (0, row),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center_baseline",
        fontsize=_SMALL,
        color=PALETTE["muted"],
    )


def _start_near_zero(axes: Axes, ends: Sequence[Number]) -> None:
    """Let the scale start at 0, where errors are to be compared as lengths, unless all are far."""
    low, high = min(ends), max(ends)
    start = 0.0 if low < 0.6 * high else low - 0.1 * (high - low)
    axes.set_xlim(start, high + 0.04 * max(high - start, 0.01))


def _rank_dots(axes: Axes, values: np.ndarray, colour: str, alpha: Number = 0.45) -> None:
    """A dot per rank as one path of round-capped points, which stays small for thousands."""
    ranks = np.arange(1, len(values) + 1, dtype=float)
    across = np.stack([ranks - 1e-3, ranks + 1e-3, np.full(len(ranks), np.nan)], axis=1)
    up = np.repeat(values, 3)
    axes.plot(
        across.ravel(),
        up,
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


def _parameter_scale(axes: Axes, panel: Panel, *, horizontal: bool, ticks: int) -> None:
    """Linear, or logarithmic for factors that differ fourfold; always with the neutral value."""
    low, high = min(*panel.values, panel.neutral), max(*panel.values, panel.neutral)
    logarithmic = panel.neutral == 1 and high >= 4 * low
    scale: Callable[..., object] = axes.set_xscale if horizontal else axes.set_yscale
    limits: Callable[..., object] = axes.set_xlim if horizontal else axes.set_ylim
    axis = axes.xaxis if horizontal else axes.yaxis
    if logarithmic:
        scale("log", base=2)
        margin = (high / low) ** 0.06
        limits(low / margin, high * margin)
        axis.set_major_locator(FixedLocator(_powers_of_two(low, high, ticks)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(_FACTOR)
    else:
        margin = 0.06 * (high - low) or 0.1
        limits(low - margin, high + margin)
        axis.set_major_locator(MaxNLocator(ticks, steps=_STEPS))


def _powers_of_two(low: Number, high: Number, ticks: int) -> list[float]:
    first, last = int(np.floor(np.log2(low))), int(np.ceil(np.log2(high)))
    step = max(1, -(-(last - first) // ticks))
    down = range(0, min(first, 0) - 1, -step)
    up = range(0, max(last, 0) + 1, step)
    return [2.0**power for power in sorted({*down, *up})]
