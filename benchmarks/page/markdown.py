"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]
"""What a benchmark wrote."""


def table(heading: Iterable[str], rows: Iterable[Iterable[Any]], texts: int = 1) -> str:
    """A table whose first columns, one by default, are text and the others figures."""
    heading = list(heading)
    lines = [heading, ["---"] * texts + ["---:"] * (len(heading) - texts), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def bold(cells: Iterable[str]) -> list[str]:
    """Every cell of a row set off, but for empty ones."""
    return [cell and f"**{cell}**" for cell in cells]


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, also where it rounds to 0: it says on which side it lies."""
    return f"{value:+.{digits}f}".replace("-", "−")
