"""The panels of figure 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from autobalance.report.figures.canvas import (
    NARROW,
    SMALL,
    STEPS,
    add_axes,
    entitle,
    name_axis,
    new_figure,
)
from autobalance.report.svg import PALETTE
from autobalance.reproduce.hypervolume import Point, front
from autobalance.reproduce.panels import write

_PERCENT = FuncFormatter(lambda value, _: f"{value:g}%")
_STYLES = (("accent", "o"), ("before", "s"), ("other", "D"), ("muted", "^"))


@dataclass(frozen=True)
class Front:
    """Points of one loss over λ, by panel.

    Parameters
    ----------
    name
        In the legend.
    points
        For each metric, pairs of standard error and metric in percent.
    headline
        Whether it is drawn in front and filled.
    """

    name: str
    points: Mapping[str, Sequence[Point]]
    headline: bool


def fronts_figure(
    fronts: Sequence[Front], panels: Mapping[str, str], ceilings: Mapping[str, float], width: int
) -> Figure:
    """A panel for each metric, side by side or, where that is narrow, below each other.

    A panel ends just above its ceiling, and says how many dots lie above.
    """
    top, height, bottom, left, gap = 30.0, 250.0, 46.0, 52.0, 62.0
    columns = 1 if width < NARROW else len(panels)
    legend = 22.0 * (len(fronts) if columns == 1 else (len(fronts) + 1) // 2) + 6
    span = (width - left - 14 - gap * (columns - 1)) / columns
    block = top + height + bottom
    lines = -(-len(panels) // columns)
    figure = new_figure(width, legend + block * lines)
    up = legend + block * lines
    for index, (metric, title) in enumerate(panels.items()):
        line, column = divmod(index, columns)
        axes = add_axes(
            figure,
            left + column * (span + gap),
            up - legend - line * block - top - height,
            span,
            height,
        )
        _draw(axes, fronts, metric, title)
        _end_at(axes, [y for each in fronts for _, y in each.points[metric]], ceilings[metric])
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper left",
        ncols=1 if columns == 1 else 2,
        frameon=False,
        fontsize=SMALL + 1,
        bbox_to_anchor=(left / width - 0.02, 1.0),
        labelcolor=PALETTE["ink"],
    )
    return figure


def _draw(axes: Axes, fronts: Sequence[Front], metric: str, title: str) -> None:
    entitle(axes, f"{title} against standard error")
    axes.grid(color=PALETTE["rule"], linewidth=0.8)
    for each, (colour, shape) in zip(fronts, _STYLES, strict=False):
        best = front(list(each.points[metric]))
        order = 3 if each.headline else 2
        axes.step(
            *zip(*best, strict=True),
            where="post",
            color=PALETTE[colour],
            linewidth=1.8 if each.headline else 1.2,
            alpha=0.7,
            zorder=order,
        )
        axes.plot(
            *zip(*each.points[metric], strict=True),
            shape,
            color=PALETTE[colour],
            markerfacecolor=PALETTE[colour] if each.headline else PALETTE["paper"],
            markersize=7,
            markeredgewidth=1.5,
            label=each.name,
            zorder=order,
        )
    axes.set_xscale("log")  # most losses lie close together, and some far off
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_PERCENT)
    name_axis(axes, "standard error, cells weighted as in training")


def _end_at(axes: Axes, values: Sequence[float], ceiling: float) -> None:
    shown = [value for value in values if value <= ceiling]
    margin = 0.06 * (ceiling - min(shown))
    above = [value for value in values if value > ceiling + margin]
    axes.set_ylim(min(shown) - margin, ceiling + margin)
    if above:
        dots = f"{len(above)} dot{'s' if len(above) > 1 else ''}"
        text = f"{dots} above, up to {max(above):.0f}%"
        write(axes, text, (0.98, 0.94), PALETTE["muted"], align="right", of="axes fraction")
