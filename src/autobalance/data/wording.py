"""Short lists of names and amounts inside one-sentence messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice


def listing(names: Collection[object], limit: int = 5) -> str:
    """Names in quotes, at most ``limit`` of them, such as ``'a', 'b' and 3 more``.

    The values of a mapping follow their names in brackets.
    """
    details = names if isinstance(names, Mapping) else {}
    shown = [
        repr(str(name)) + (f" ({details[name]})" if name in details else "")
        for name in islice(names, limit)
    ]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def amount(number: int, noun: str) -> str:
    """A number with its noun, such as ``1 row`` or ``12,000 rows``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
