"""A figure as the page holds it: one drawing for wide screens and paper, one for phones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from markupsafe import Markup
from matplotlib.figure import Figure

from autobalance.report.svg import inline_svg

_WIDE, _NARROW = 760, 340


def picture(draw: Callable[[int], Figure], name: str, title: str, description: str) -> Markup:
    """Both drawings; the page shows the one that fits, so that text stays legible.

    Parameters
    ----------
    draw
        Makes the figure of a width in CSS pixels.
    name
        Unique on the page.
    title, description
        What a screen reader says instead of the picture.
    """
    return Markup("").join(
        Markup('<div class="{}">{}</div>').format(
            shape, inline_svg(partial(draw, width), f"{name}-{shape}", title, description)
        )
        for shape, width in (("wide", _WIDE), ("narrow", _NARROW))
    )
