"""Which closed-form losses a search may start from, given what it is to make small."""

from __future__ import annotations

from autobalance.objectives import Objective


def default_starts(objective: Objective) -> tuple[str, ...]:
    """Names of the closed-form losses that a search for ``objective`` may start from.

    They are consistent with the objective (Algorithm 1, line 1): logit adjustment and weights, by
    class or within each group, or cross-entropy for the plain error. Which of the two serves better
    depends on how far the head is from being right: adjustments are optimal for a head that can
    express the classes' odds, weights move one that cannot.
    """
    if objective.about_costs:
        return "cost-adjustment", "cost-weighted"
    if objective.by_group:
        return "group-la", "group-balanced"
    if {name for name, _ in objective.terms} & {"balanced", "worst-class"}:
        return "logit-adjustment", "weighted"
    return ("cross-entropy",)
