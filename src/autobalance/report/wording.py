"""Numbers, labels and objectives as the report words them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from autobalance.labels import Label, label_text
from autobalance.objectives import Objective

Number = int | float
"""A number of the metrics file, where a whole one may come without a decimal point."""

DASH = "–"
"""Stands for what was not measured, such as the error of a cell without examples."""

_MOST_DECIMALS = 6

OBJECTIVE_NAMES = {
    "error": "error",
    "balanced": "balanced error",
    "group-balanced": "group-balanced error",
    "worst-class": "worst-class error",
    "worst-group": "worst-group error",
    "equal-opportunity": "equal-opportunity gap",
    "equalized-odds": "equalized-odds gap",
    "cost": "mean cost",
}

OBJECTIVE_MEANINGS = {
    "error": "share of all examples that are predicted wrongly",
    "balanced": "mean of the classes’ errors, every class counting the same",
    "group-balanced": "mean of the errors of all classes within all groups, each counting the same",
    "worst-class": "the largest error of any class",
    "worst-group": "the largest error of any class within any group",
    "equal-opportunity": "how far the groups’ errors on the positive class lie apart",
    "equalized-odds": "how far the groups’ errors lie apart, summed over the classes",
    "cost": "what the decisions cost on average over all examples, in the unit of the costs given",
}


def percent(value: Number | None) -> str:
    """A fraction as a percentage: ``0.141`` becomes ``14.1%``; nothing becomes a dash."""
    return DASH if value is None else f"{_fixed(100 * value, 1)}%"


def percent_interval(interval: Sequence[Number] | None) -> str:
    """An interval of fractions: ``12.0–16.2%``."""
    if interval is None:
        return DASH
    low, high = (_fixed(100 * end, 1) for end in interval)
    return f"{low}–{high}%"


def points(value: Number | None) -> str:
    """A difference of fractions in percentage points, signed: ``+4.3``, ``−0.2``."""
    if value is None:
        return DASH
    text = _fixed(100 * value, 1)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"


def points_interval(interval: Sequence[Number] | None) -> str:
    """An interval of differences in percentage points: ``+2.1 to +6.4``."""
    return DASH if interval is None else " to ".join(points(end) for end in interval)


def points_off(value: Number) -> str:
    """A distance of probabilities in percentage points, unsigned: ``6.1 points``."""
    return f"{_fixed(100 * value, 1)} points"


def number(value: Number | None, digits: int = 3) -> str:
    """A number to ``digits`` significant digits, or to the unit if it is larger than that."""
    if value is None:
        return DASH
    if value == 0 or not math.isfinite(value):
        return f"{value:g}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    tiny = decimals > _MOST_DECIMALS
    return f"{value:.{digits - 1}e}".replace("-", "−") if tiny else _fixed(value, decimals)


def count(value: Number) -> str:
    """A number of examples: ``22,654``, or ``12.5`` when it is a sum of weights."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def readable(text: str) -> str:
    """Text from a user's file with a sign in place of every character that cannot be shown.

    Those are control characters, marks of direction and halves of surrogate pairs.
    """
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def label_name(label: Label) -> str:
    """A class or group label as the page shows it; an empty one is shown as quotes."""
    return readable(label_text(label)) or "''"


def setting_text(value: Any) -> str:
    """A setting of any kind on one line: ``none``, ``yes``, ``sex, race``, ``0.2``."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(setting_text, value))
    return readable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def objective_name(objective: str) -> str:
    """An objective in words: ``0.1 × error + 0.9 × balanced error``."""
    return " + ".join(
        ("" if scale == 1 else f"{scale:g} × ") + OBJECTIVE_NAMES[name]
        for name, scale in Objective.parse(objective).terms
    )


def capitalized(text: str) -> str:
    """The text with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def _fixed(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return text.lstrip("-")
    return text.replace("-", "−")
