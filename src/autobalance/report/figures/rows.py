"""Figures with a labelled row for each method, class, cell, objective or run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autobalance.report.figures.canvas import (
    NARROW,
    PERCENT,
    POINTS,
    ROW,
    Canvas,
    Rows,
    entitle,
    new_figure,
    row_canvas,
)
from autobalance.report.figures.marks import (
    Marks,
    Panel,
    dot,
    interval_dot,
    parameter_scale,
    say_not_measured,
    start_near_zero,
)
from autobalance.report.scale import ERROR_RATES, Scale
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number

_ROW_OF_TWO = 33.0
_APART = 5.5
_HEADING, _AXIS, _GAP = 28.0, 26.0, 28.0


@dataclass(frozen=True)
class Block:
    """Rows of errors before and after under a heading of their own."""

    heading: str
    before: Sequence[Marks]
    after: Sequence[Marks]


def comparison_figure(
    names: Sequence[str],
    marks: Sequence[Marks],
    kept: str,
    width: Number,
    scale: Scale = ERROR_RATES,
) -> Figure:
    """One row per method: its figure with interval; the kept one in bold and in the accent."""
    canvas = row_canvas(Rows(names, width), [i for i, name in enumerate(names) if name == kept])
    for row, (name, mark) in enumerate(zip(names, marks, strict=True)):
        colour = PALETTE["accent" if name == kept else "muted"]
        interval_dot(canvas.axes, row, mark, colour, filled=True)
    start_near_zero(canvas.axes, [end for mark in marks for end in mark.ends])
    canvas.axes.xaxis.set_major_formatter(lambda value, _: scale.tick(value))
    return _of(canvas)


def difference_figure(
    names: Sequence[str],
    marks: Sequence[Marks],
    worse: Sequence[bool],
    kept: str,
    width: Number,
    scale: Scale = ERROR_RATES,
) -> Figure:
    """One row per method: its paired difference to the best, on either side of a zero line.

    Those told apart from the best are hollow and grey, the others filled and in the accent.
    """
    bold = [i for i, name in enumerate(names) if name == kept]
    canvas = row_canvas(Rows(names, width), bold, f"{scale.unit} above the best")
    axes = canvas.axes
    axes.axvline(0, color=PALETTE["muted"], linewidth=1)
    for row, (mark, apart) in enumerate(zip(marks, worse, strict=True)):
        colour = PALETTE["muted" if apart else "accent"]
        interval_dot(axes, row, mark, colour, filled=not apart)
    ends = [0.0, *(end for mark in marks for end in mark.ends)]
    margin = 0.04 * (max(ends) - min(ends)) or 0.01
    axes.set_xlim(min(ends) - margin, max(ends) + margin)
    axes.xaxis.set_major_formatter(lambda value, _: scale.difference_tick(value))
    return _of(canvas)


def error_rows(
    names: Sequence[str],
    before: Sequence[Marks],
    after: Sequence[Marks],
    width: Number,
    scale: Scale = ERROR_RATES,
) -> Figure:
    """One row per unit: error before (hollow) and after (filled), each with its interval."""
    canvas = row_canvas(Rows(names, width, _ROW_OF_TWO))
    _draw_errors(canvas, before, after)
    start_near_zero(canvas.axes, [end for mark in (*before, *after) for end in mark.ends])
    canvas.axes.xaxis.set_major_formatter(lambda value, _: scale.tick(value))
    return _of(canvas)


def error_blocks(names: Sequence[str], blocks: Sequence[Block], width: Number) -> Figure:
    """The same rows under one heading after another, all on one scale.

    A line leads from the error before (hollow) to the one after (filled).
    """
    rows = Rows(names, width)
    pitch = _HEADING + rows.height + _AXIS
    figure = new_figure(width, pitch * len(blocks))
    ends = [end for block in blocks for mark in (*block.before, *block.after) for end in mark.ends]
    for index, block in enumerate(blocks):
        top = index * pitch + _HEADING
        canvas = rows.canvas(figure, top, rows.gutter, width - rows.gutter - 22)
        entitle(canvas.axes, block.heading)
        for row, (old, new) in enumerate(zip(block.before, block.after, strict=True)):
            _lead(canvas.axes, row, old, new)
        start_near_zero(canvas.axes, [0.0, *ends])
        canvas.axes.xaxis.set_major_formatter(PERCENT)
    return figure


def parameter_rows(
    names: Sequence[str], panels: Sequence[Panel], width: Number, bold: Sequence[int] = ()
) -> Figure:
    """One row per unit and one panel per kind of number, as stalks from the neutral value.

    A second loss has diamonds beside the first one's dots.
    """
    double = any(panel.beside is not None for panel in panels)
    rows = Rows(names, width, _ROW_OF_TWO if double else ROW)
    block = _HEADING + rows.height + _AXIS
    columns = 1 if width < NARROW else len(panels)
    figure = new_figure(width, block * -(-len(panels) // columns))
    span = (width - rows.gutter - 14 - _GAP * (columns - 1)) / columns
    for index, panel in enumerate(panels):
        line, column = divmod(index, columns)
        left = rows.gutter + column * (span + _GAP)
        named = column == 0
        canvas = rows.canvas(figure, line * block + _HEADING, left, span, named=named, bold=bold)
        entitle(canvas.axes, panel.heading)
        canvas.axes.axvline(panel.neutral, color=PALETTE["muted"], linewidth=1)
        apart = _APART / canvas.pitch if panel.beside is not None else 0.0
        _stalks(canvas, panel.values, panel.neutral, -apart, "accent", "o")
        if panel.beside is not None:
            _stalks(canvas, panel.beside, panel.neutral, apart, "other", "D")
        parameter_scale(canvas.axes, panel, horizontal=True, ticks=4 if columns > 1 else 6)
        if panel.points:
            canvas.axes.xaxis.set_major_formatter(POINTS)
    return figure


def _stalks(
    canvas: Canvas,
    values: Sequence[Number],
    neutral: Number,
    apart: float,
    colour: str,
    shape: str,
) -> None:
    rows = np.arange(len(values)) + apart
    canvas.axes.hlines(rows, neutral, values, color=PALETTE[colour], linewidth=2)
    for row, value in zip(rows.tolist(), values, strict=True):
        dot(canvas.axes, value, row, PALETTE[colour], filled=shape == "o", shape=shape)


def _lead(axes: Axes, row: int, old: Marks, new: Marks) -> None:
    if old.value is None or new.value is None:
        say_not_measured(axes, row)
        return
    axes.hlines(row, old.value, new.value, color=PALETTE["muted"], linewidth=1.2)
    dot(axes, old.value, row, PALETTE["before"], filled=False)
    dot(axes, new.value, row, PALETTE["accent"], filled=True)


def _draw_errors(canvas: Canvas, before: Sequence[Marks], after: Sequence[Marks]) -> None:
    apart = _APART / canvas.pitch
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.value is None and new.value is None:
            say_not_measured(canvas.axes, row)
        interval_dot(canvas.axes, row - apart, old, PALETTE["before"], filled=False)
        interval_dot(canvas.axes, row + apart, new, PALETTE["accent"], filled=True)


def _of(canvas: Canvas) -> Figure:
    figure = canvas.axes.get_figure(root=True)
    assert figure is not None
    return figure
