"""What the figures draw: errors with intervals and parameters, and the scales they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from autobalance.report.figures.canvas import FACTOR, SMALL, STEPS
from autobalance.report.svg import PALETTE
from autobalance.report.wording import Number


@dataclass(frozen=True)
class Marks:
    """One row's error under one loss; ``interval`` may be missing."""

    value: Number | None
    interval: Sequence[Number] | None = None

    @property
    def ends(self) -> list[Number]:
        """What the scale must reach."""
        return [] if self.value is None else [self.value, *(self.interval or ())]


@dataclass(frozen=True)
class Panel:
    """One kind of number by row, drawn from a neutral value.

    Parameters
    ----------
    heading
        What it is.
    values
        One for each row.
    neutral
        The value that changes nothing.
    beside
        The same of another loss, or ``None``.
    points
        Whether the numbers are differences of errors, shown in percentage points.
    """

    heading: str
    values: Sequence[Number]
    neutral: Number
    beside: Sequence[Number] | None = None
    points: bool = False

    @property
    def ends(self) -> tuple[Number, Number]:
        """The least and the largest number, the neutral one included."""
        everything = [*self.values, *(self.beside or ()), self.neutral]
        return min(everything), max(everything)


def interval_dot(
    axes: Axes, row: Number, mark: Marks, colour: str, *, filled: bool, shape: str = "o"
) -> None:
    """A dot with its interval as a bar; nothing if there is no value."""
    if mark.value is None:
        return
    if mark.interval is not None:
        low, high = mark.interval
        axes.hlines(row, low, high, color=colour, linewidth=2, alpha=0.55)
    dot(axes, mark.value, row, colour, filled=filled, shape=shape)


def dot(
    axes: Axes, across: Number, up: Number, colour: str, *, filled: bool, shape: str = "o"
) -> None:
    """One dot, hollow ones showing the paper."""
    axes.plot(
        across,
        up,
        shape,
        markersize=7.5,
        markerfacecolor=colour if filled else PALETTE["paper"],
        markeredgecolor=colour,
        markeredgewidth=1.6,
        clip_on=False,
    )


def say_not_measured(axes: Axes, row: Number) -> None:
    """Say so in a row that has no value."""
    axes.annotate(
        "not measured",
        (0, row),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center_baseline",
        fontsize=SMALL,
        color=PALETTE["muted"],
    )


def start_near_zero(axes: Axes, ends: Sequence[Number]) -> None:
    """Let the scale start at 0, where errors are to be compared as lengths, unless all are far."""
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    start = 0.0 if low < 0.6 * high else low - 0.1 * (high - low)
    axes.set_xlim(start, high + 0.04 * max(high - start, 0.01))


def parameter_scale(axes: Axes, panel: Panel, *, horizontal: bool, ticks: int) -> None:
    """Linear, or logarithmic for factors that differ fourfold; always with the neutral value."""
    low, high = panel.ends
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
        axis.set_major_formatter(FACTOR)
    else:
        margin = 0.06 * (high - low) or 0.1
        limits(low - margin, high + margin)
        axis.set_major_locator(MaxNLocator(ticks, steps=STEPS))


def _powers_of_two(low: Number, high: Number, ticks: int) -> list[float]:
    first, last = int(np.floor(np.log2(low))), int(np.ceil(np.log2(high)))
    step = max(1, -(-(last - first) // ticks))
    down = range(0, min(first, 0) - 1, -step)
    up = range(0, max(last, 0) + 1, step)
    return [2.0**power for power in sorted({*down, *up})]
