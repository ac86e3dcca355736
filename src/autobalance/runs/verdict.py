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
    if basis != TEST_SPLIT:
        return (
            f"{name} {percent(baseline['value'])} → {percent(ours['value'])} on the held-out "
            f"folds, from cross-entropy to the designed loss. The same folds chose the loss, so "
            "this gain is optimistic, and without test data there is no verdict: mark some rows "
            "as test in a split column."
        )
    rivals = [method for method in methods if method["name"] not in (OURS, BASELINE)]
    rival = min(rivals, key=lambda method: float(method["value"]))
    return f"{_change(name, ours, baseline, examples)} {_comparison(ours, rival)}"


def _change(name: str, ours: Mapping[str, Any], baseline: Mapping[str, Any], examples: int) -> str:
    low, high = baseline["difference"]["interval"]
    change = -baseline["difference"]["value"]
    interval = points_interval([-high, -low])
    measured = (
        f"{name} {percent(baseline['value'])} → {percent(ours['value'])} from cross-entropy to the "
        f"designed loss on {examples:,} test examples: {points(change)} points, 95% interval "
        f"{interval}"
    )
    if low > 0:
        return f"{measured}."
    if high < 0:
        return f"{measured}, so cross-entropy serves this objective better."
    return f"{measured}, so no clear change."


def _comparison(ours: Mapping[str, Any], rival: Mapping[str, Any]) -> str:
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
