"""Whether the designed loss was worth it, in words that claim no more than was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.report.wording import objective_name, percent, points, points_interval
from autobalance.runs.contest import BASELINE, OURS
from autobalance.runs.measure import TEST_SPLIT


def verdict(objective: str, basis: str, methods: Sequence[Mapping[str, Any]], examples: int) -> str:
    """A few sentences: the change from cross-entropy, and whether a simpler method does as well.

    Parameters
    ----------
    objective
        Canonical text of the objective.
    basis
        Where the errors were measured.
    methods
        Entries of the metrics.
    examples
        How many examples the errors were measured on.
    """
    by_name = {method["name"]: method for method in methods}
    ours, baseline = by_name[OURS], by_name[BASELINE]
    name = objective_name(objective)
    name = name[0].upper() + name[1:]
    before, after = percent(baseline["value"]), percent(ours["value"])
    if basis != TEST_SPLIT:
        return (
            f"{name} {before} → {after} on the held-out folds. The same folds chose the loss, so "
            "the gain from cross-entropy to the designed loss is optimistic, and without test data "
            "there is no verdict: mark some rows as test in a split column."
        )
    rivals = [method for method in methods if method["name"] not in (OURS, BASELINE)]
    rival = min(rivals, key=lambda method: float(method["value"]))
    return (
        f"{name} {before} → {after} on {examples:,} test examples. "
        f"{_change(baseline['difference'])} {_comparison(rival)}"
    )


def _change(minus_ours: Mapping[str, Any]) -> str:
    low, high = minus_ours["interval"]
    change = (
        f"The change from cross-entropy to the designed loss is {points(-minus_ours['value'])} "
        f"points (95% interval {points_interval([-high, -low])})"
    )
    if low > 0:
        return f"{change}."
    if high < 0:
        return f"{change}: cross-entropy serves this objective better."
    return f"{change}, which is no clear change."


def _comparison(rival: Mapping[str, Any]) -> str:
    closed = rival["kind"] == "closed form"
    kind = "closed-form loss" if closed else "simpler method"
    it = "the closed form" if closed else "the simpler method"
    low, high = rival["difference"]["interval"]
    gives = f"The best {kind}, {rival['name']}, gives {percent(rival['value'])}"
    gap = (
        f"difference {points(rival['difference']['value'])} points, 95% interval "
        f"{points_interval([low, high])}"
    )
    if low > 0:
        return f"{gives}, which is worse ({gap}): the designed loss is worth having."
    if high < 0:
        return f"{gives}, which is better ({gap}): use {it}."
    return f"{gives}; the two cannot be told apart ({gap}), and {it} is the simpler choice."
