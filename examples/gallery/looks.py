"""How the pictures of the gallery look: few colours, quiet axes, labels in place of legends."""

from argparse import ArgumentParser, Namespace
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

INK, MUTED, RULE, PALE = "#1c2530", "#66707c", "#d9dde2", "#c3cad1"
BEFORE, CLOSED, DESIGNED = "#9a7b4f", "#8f4fa8", "#0b6b72"


def options(doc: str, out: str, arguments: list[str] | None) -> Namespace:
    """What every script of the gallery can be told."""
    parser = ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder of real data; default: small ones")
    parser.add_argument("--out", type=Path, default=Path(out), help="the picture, a PNG file")
    return parser.parse_args(arguments)


def new_picture(height: float, title: str, subtitle: str) -> Figure:
    """A figure, 1,400 pixels wide and ``height`` inches high, with two lines at the top."""
    figure = Figure(figsize=(10, height), dpi=140)
    figure.text(0.015, 1 - 0.16 / height, title, va="top", fontsize=14, color=INK, weight="bold")
    figure.text(0.015, 1 - 0.50 / height, subtitle, va="top", fontsize=11.5, color=MUTED)
    return figure


def quiet(axes: Axes, heading: str, grid: str = "y", **font: Any) -> None:
    """Take away the frame, draw the grid behind everything, and write the heading."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=11, labelcolor=MUTED, pad=7)
    axes.grid(axis=grid, color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(heading, loc="left", **{"fontsize": 12, "color": INK, "pad": 12} | font)


def in_percent(axis: Axis, most: int = 7) -> None:
    """Mark a few whole percentages."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def label(axes: Axes, text: str, at: tuple[float, float], colour: str, **options: Any) -> None:
    """Write beside a point; ``shift`` is in points."""
    shift = options.pop("shift", (8, 0))
    options = {"va": "center", "fontsize": 11, "annotation_clip": False} | options
    axes.annotate(text, at, shift, textcoords="offset points", color=colour, **options)


def apart(heights: dict[str, float], distance: float) -> dict[str, float]:
    """Heights of labels, the upper ones moved up where they would overlap."""
    placed: dict[str, float] = {}
    below = -distance
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        placed[name] = below = max(height, below + distance)
    return placed


def save(figure: Figure, path: Path) -> None:
    """Write the PNG, of 256 colours to keep it small, and say where."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, "PNG")
    print(f"picture: {path}")
