"""The panels of figures 3 and 4, and of the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy import ndarray

from autobalance.report.figures.canvas import SMALL, STEPS
from autobalance.report.svg import PALETTE
from autobalance.reproduce.panels import name_axes, panels

_PERCENT = FuncFormatter(lambda value, _: f"{value:g}%")
_NUMBER = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
_COLOURS = matplotlib.colormaps["viridis"]
_LIGHTEST = 0.85


@dataclass(frozen=True)
class Split:
    """Images of each class, most frequent first, and the share of them that is held out."""

    counts: Float[ndarray, "K"]
    held_out: float


@dataclass(frozen=True)
class Course:
    """How the values of clusters, shape (points, clusters), move over epochs."""

    title: str
    label: str
    epochs: Sequence[float]
    values: Float[ndarray, "M C"]


@dataclass(frozen=True)
class Errors:
    """Balanced errors in percent over the epochs of a search, for one held-out share."""

    title: str
    train: Sequence[float]
    held_out: Sequence[float]
    test: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """Test error of the best loss so far, over the cost in ordinary trainings.

    ``spread`` is the standard error of the last one; the headline is filled.
    """

    name: str
    cost: Sequence[float]
    error: Sequence[float]
    spread: float | None
    colour: str
    shape: str
    headline: bool = False


def figure3(split: Split, courses: Sequence[Course], width: int) -> Figure:
    """The class sizes, and a panel for each course."""
    headings = ["Images of each class", *(course.title for course in courses)]
    figure, axes = panels(width, 190, headings, columns=2)
    _bars(axes[0], split)
    for each, course in zip(axes[1:], courses, strict=True):
        for colour, values in zip(_shades(course.values.shape[1]), course.values.T, strict=True):
            each.plot(course.epochs, values, color=colour, linewidth=1.6)
        each.yaxis.set_major_formatter(_NUMBER)
        _tick(each)
        name_axes(each, "epoch of the search", course.label)
    return figure


def figure4(errors: Sequence[Errors], width: int) -> Figure:
    """A panel for each held-out share."""
    figure, axes = panels(width, 200, [each.title for each in errors], columns=2)
    top = max(max(*each.train, *each.held_out, *each.test) for each in errors)
    styles = {"train": ("muted", ":"), "held_out": ("before", "--"), "test": ("accent", "-")}
    names = {"train": "training", "held_out": "held out", "test": "test"}
    for place, (panel, each) in enumerate(zip(axes, errors, strict=True)):
        for part, (colour, line) in styles.items():
            values = getattr(each, part)
            panel.plot(
                range(1, len(values) + 1),
                values,
                line,
                color=PALETTE[colour],
                linewidth=1.8,
                label=names[part],
            )
        panel.set_ylim(0, 1.04 * top)
        panel.yaxis.set_major_formatter(_PERCENT)
        _tick(panel)
        name_axes(panel, "epoch of the search", "balanced error")
        if place == 0:
            panel.legend(frameon=False, fontsize=SMALL, labelcolor=PALETTE["ink"])
    return figure


def cost_figure(by_space: Mapping[str, Sequence[Curve]], width: int) -> Figure:
    """A panel for each space of values."""
    figure, axes = panels(width, 240, list(by_space), columns=2)
    for panel, curves in zip(axes, by_space.values(), strict=True):
        for curve in curves:
            colour = PALETTE[curve.colour]
            panel.step(curve.cost, curve.error, where="post", color=colour, linewidth=1.6)
            panel.plot(
                curve.cost,
                curve.error,
                curve.shape,
                color=colour,
                markerfacecolor=colour if curve.headline else PALETTE["paper"],
                markersize=8 if curve.headline else 6,
                markeredgewidth=1.6,
                label=curve.name,
                zorder=3,
            )
            if curve.spread is not None:
                end = curve.cost[-1], curve.error[-1]
                panel.errorbar(*end, curve.spread, fmt="none", ecolor=colour, capsize=3)
        panel.set_xlim(left=0)
        _tick(panel)
        panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))  # short labels
        panel.yaxis.set_major_formatter(_PERCENT)
        name_axes(panel, "ordinary trainings", "balanced error")
        panel.legend(frameon=False, fontsize=SMALL, labelcolor=PALETTE["ink"])
    return figure


def _bars(axes: Axes, split: Split) -> None:
    ranks = np.arange(1, len(split.counts) + 1)
    held_out = split.held_out * split.counts
    axes.bar(ranks, split.counts - held_out, color=_shades(len(ranks)), width=0.8)
    axes.bar(
        ranks,
        held_out,
        bottom=split.counts - held_out,
        color=PALETTE["paper"],
        edgecolor=PALETTE["muted"],
        linewidth=1,
        width=0.8,
        label=f"held out, {100 * split.held_out:g}%",
    )
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=PALETTE["ink"])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    _tick(axes)
    name_axes(axes, "class by frequency", "images")


def _shades(number: int) -> list[tuple[float, ...]]:
    """From dark to light."""
    return [tuple(_COLOURS(share)) for share in np.linspace(0, _LIGHTEST, number)]


def _tick(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
