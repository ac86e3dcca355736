"""A matplotlib figure as inline SVG that belongs to the page it stands in.

Colours become the page's CSS variables (so dark mode and print work), fonts the page's fonts, and
ids get the figure's name as prefix, so that several figures share a page. Text stays text: it can
be read aloud, searched and selected.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import style
from matplotlib.figure import Figure

PALETTE = {
    "ink": "#1c2530",
    "muted": "#66707c",
    "rule": "#d9dde2",
    "accent": "#0b6b72",
    "before": "#9a7b4f",
    "other": "#8f4fa8",
    "paper": "#ffffff",
}
"""Colours by the name of their CSS variable; the values are those of the light page."""

_VARIABLES = {value: f"var(--{name})" for name, value in PALETTE.items()}
_COLOUR = re.compile("|".join(_VARIABLES))
_FONT_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_REFERENCE = re.compile(r"#([\w.-]+)")


def inline_svg(draw: Callable[[], Figure], name: str, title: str, description: str) -> Markup:
    """Draw a figure as one ``<svg role="img">`` element.

    Parameters
    ----------
    draw
        Makes the figure, in sizes of 1/72 inch for a CSS pixel. It is called with matplotlib's own
        defaults, whatever the user's settings are.
    name
        Unique on the page: the prefix of every id.
    title, description
        What a screen reader says instead of the picture.
    """
    stream = io.StringIO()
    settings: list[str | dict[str, Any]] = [
        "default",
        {"svg.fonttype": "none", "svg.hashsalt": name},
    ]
    with style.context(settings), warnings.catch_warnings():
        # glyphs that matplotlib's font lacks are drawn by the browser's fonts
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        blank = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        draw().savefig(stream, format="svg", transparent=True, metadata=blank)
    root = ElementTree.fromstring(stream.getvalue())
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _restyled(value) if key == "style" else value
            for key, value in element.attrib.items()
        }
    for definitions in root.findall("defs"):
        for rules in definitions.findall("style"):  # would apply to the whole page
            definitions.remove(rules)
    _prefix_ids(root, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    for tag, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(0, element)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _restyled(declarations: str) -> str:
    coloured = _COLOUR.sub(lambda match: _VARIABLES[match.group()], declarations)
    return _FONT_FAMILY.sub("", coloured)


def _prefix_ids(root: ElementTree.Element, name: str) -> None:
    """Prefix the ids that something refers to, and drop the others, which would clash."""
    references = ("href", "clip-path")
    used = {
        target
        for element in root.iter()
        for key in references
        for target in _REFERENCE.findall(element.get(key, ""))
    }
    for element in root.iter():
        target = element.attrib.pop("id", None)
        if target in used:
            element.set("id", f"{name}-{target}")
        for key in references:
            if key in element.attrib:
                element.set(key, element.attrib[key].replace("#", f"#{name}-", 1))
