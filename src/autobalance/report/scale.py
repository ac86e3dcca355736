"""How the figures of an objective are written: error rates as percentages, costs as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autobalance.objectives import Objective
from autobalance.report.wording import (
    DASH,
    Number,
    number,
    percent,
    percent_interval,
    points,
    points_interval,
)


@dataclass(frozen=True)
class Scale:
    """What a figure is, and how it and differences of it are written.

    Parameters
    ----------
    noun
        What is measured.
    unit, ending
        Of differences: in a sentence, and right behind one.
    value, interval, difference, difference_interval
        From numbers to text; nothing becomes a dash.
    tick, difference_tick
        The same on an axis.
    """

    noun: str
    unit: str
    ending: str
    value: Callable[[Number | None], str]
    interval: Callable[[Sequence[Number] | None], str]
    difference: Callable[[Number | None], str]
    difference_interval: Callable[[Sequence[Number] | None], str]
    tick: Callable[[Number], str]
    difference_tick: Callable[[Number], str]


def _signed(text: str) -> str:
    return text if text.startswith("−") or text in ("0", DASH) else f"+{text}"


def _difference(value: Number | None) -> str:
    return _signed(number(value))


def _pair(write: Callable[[Number], str], by: str) -> Callable[[Sequence[Number] | None], str]:
    return lambda interval: DASH if interval is None else by.join(map(write, interval))


ERROR_RATES = Scale(
    "error",
    "percentage points",
    " points",
    percent,
    percent_interval,
    points,
    points_interval,
    lambda value: f"{100 * value:g}%",
    lambda value: f"{100 * value:+g}".replace("-", "−") if value else "0",
)
COSTS = Scale(
    "cost",
    "units of cost",
    "",
    number,
    _pair(number, "–"),
    _difference,
    _pair(_difference, " to "),
    lambda value: f"{value:g}",
    lambda value: _signed(f"{value:g}".replace("-", "−")),
)


def scale_of(objective: str) -> Scale:
    """How the figures of an objective, given by its text, are written."""
    return COSTS if Objective.parse(objective).about_costs else ERROR_RATES
