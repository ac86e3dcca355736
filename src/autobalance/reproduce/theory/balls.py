"""Points in the plane with balls around them, and the boundary between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy import ndarray

from autobalance.report.svg import PALETTE
from autobalance.reproduce.panels import name_axes, panels, write
from autobalance.reproduce.theory.margins import Boundary
from autobalance.reproduce.theory.separable import Pair, Points

_HEIGHT = 290.0
_AROUND = 0.7
"""Room between the outermost points and the frame."""


@dataclass(frozen=True)
class Scene:
    """What one panel shows.

    Parameters
    ----------
    heading
        Above it.
    data
        Points in the plane.
    radii
        Of the balls around minority and majority.
    ordinary, found
        The boundaries without and with balls.
    """

    heading: str
    data: Points
    radii: Pair
    ordinary: Boundary
    found: Boundary

    @property
    def free(self) -> float:
        """Distance of the nearest ball from the boundary."""
        return float((self.found.distances(*self.data) - self.data.by_class(self.radii)).min())


def boundary_figure(scenes: Sequence[Scene], width: int) -> Figure:
    """A panel for each scene, with the same unit on both axes."""
    figure, drawn = panels(width, _HEIGHT, [scene.heading for scene in scenes])
    for axes, scene in zip(drawn, scenes, strict=True):
        middle, reach = _frame(axes, scene.data.points)
        _draw_classes(axes, scene)
        strip = [_line(scene.found, middle, reach, side * scene.free) for side in (1, -1)]
        axes.fill(
            *np.vstack([strip[0], strip[1][::-1]]).T, color=PALETTE["ink"], alpha=0.07, linewidth=0
        )
        axes.plot(*_line(scene.found, middle, reach).T, color=PALETTE["ink"], linewidth=1.8)
        axes.plot(
            *_line(scene.ordinary, middle, reach).T,
            color=PALETTE["muted"],
            linewidth=1.8,
            linestyle=(0, (4, 3)),
        )
        name_axes(axes, "first coordinate", "second coordinate")
    return figure


def _frame(axes: Axes, points: Float[ndarray, "N 2"]) -> tuple[Float[ndarray, "2"], float]:
    """Let the axes hold all points; the middle, and a length that reaches beyond every corner."""
    low, high = points.min(0) - _AROUND, points.max(0) + _AROUND
    size = np.array([axes.bbox.width, axes.bbox.height])
    middle, half = (low + high) / 2, max((high - low) / size) * size / 2
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    return middle, float(2 * half.sum())


def _draw_classes(axes: Axes, scene: Scene) -> None:
    """Points, balls, and the name of each class in a corner on its side of the boundary."""
    classes = ((1, "accent", "minority"), (-1, "before", "majority"))
    for radius, (label, colour, name) in zip(scene.radii, classes, strict=True):
        own = scene.data.points[scene.data.labels == label]
        balls = [Circle((across, up), radius) for across, up in own]
        axes.add_collection(
            PatchCollection(balls, facecolor=PALETTE[colour], edgecolor="none", alpha=0.2)
        )
        axes.plot(*own.T, "o", color=PALETTE[colour], markersize=4)
        right, top = label * scene.found.normal > 0
        write(
            axes,
            name,
            (0.97 if right else 0.03, 0.95 if top else 0.05),
            PALETTE[colour],
            align="right" if right else "left",
            of="axes fraction",
        )


def _line(
    boundary: Boundary, near: Float[ndarray, "2"], reach: float, shift: float = 0.0
) -> Float[ndarray, "2 2"]:
    """Two distant points of the boundary, or of a parallel to it."""
    length = np.linalg.norm(boundary.normal)
    normal = boundary.normal / length
    foot = near - (normal @ near + boundary.offset / length - shift) * normal
    along = reach * np.array([-normal[1], normal[0]])
    return np.array([foot - along, foot + along])
