"""From rows and predictions to means, paired differences, ranks and goals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from autobalance.contest.contenders import OURS
from benchmarks.tables.cases import OUTER_FOLDS, Case
from benchmarks.tables.measure import HeldOut, different_examples, same_examples

LEAD = 0.5
"""The goal for the lead in mean rank."""


def summarise_case(case: Case, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One case over its seeds.

    Outer folds hold out different examples, so their predictions are pooled: ``value`` is the error
    of all of them together. On a test split every seed predicts the same examples, and ``value``
    is the mean over the seeds. ``difference`` is to the headline, paired, with its standard error;
    ``mean`` and ``sd`` are those of the rows.
    """
    runs = [
        HeldOut(
            np.array(part["y"]),
            np.array(part["g"]),
            {method: np.array([codes]) for method, codes in part["predicted"].items()},
        )
        for part in parts
    ]
    held_out = different_examples(runs) if case.basis == OUTER_FOLDS else same_examples(runs)
    rows = [row for part in parts for row in part["rows"]]
    methods = []
    for method in held_out.predicted:
        own = [row for row in rows if row["method"] == method]
        gap = held_out.difference(case.objective, method, OURS)
        methods.append(
            {
                "method": method,
                "headline": own[0]["headline"],
                "ranked": own[0]["ranked"],
                "value": 100 * held_out.error(case.objective, method),
                "mean": _mean([row["value"] for row in own]),
                "sd": _sd([row["value"] for row in own]),
                "balanced": 100 * held_out.error("balanced", method),
                "difference": 100 * gap.value,
                "standard_error": 100 * gap.standard_error,
                "seconds": _mean([row["seconds"] for row in own]),
            }
        )
    return {
        "table": case.table,
        "grouping": case.grouping,
        "objective": case.objective,
        "basis": case.basis,
        "seeds": len(parts),
        "examples": len(held_out.y),
        **_standing(methods),
        "methods": methods,
    }


def _standing(methods: list[dict[str, Any]]) -> dict[str, Any]:
    """Ranks of the ranked methods, put into them, and how the headline does among them."""
    ranked = [entry for entry in methods if entry["ranked"]]
    for entry, rank in zip(ranked, rankdata([e["value"] for e in ranked]), strict=True):
        entry["rank"] = float(rank)
    best = min(ranked, key=lambda entry: entry["value"])
    return {
        "best": best["method"],
        "headline_is_best": best["value"] == _headline(ranked)["value"],
        # The best one's difference to the headline is how far the headline is behind, negative.
        "headline_ties": -best["difference"] <= best["standard_error"],
    }


def mean_ranks(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each method's mean rank over the cases that it takes part in, best first.

    Not every method applies to every case, so ``lead`` compares like with like: by how much the
    headline's rank is better, on average over the cases that both take part in.
    """
    ranks: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        ranked = [entry for entry in case["methods"] if entry["ranked"]]
        ours = _headline(ranked)["rank"]
        for entry in ranked:
            ranks.setdefault(entry["method"], []).append((entry["rank"], ours))
    table = [
        {
            "method": method,
            "cases": len(pairs),
            "mean_rank": _mean([rank for rank, _ in pairs]),
            "lead": _mean([rank - ours for rank, ours in pairs]),
        }
        for method, pairs in ranks.items()
    ]
    return sorted(table, key=lambda entry: entry["mean_rank"])


def goals(cases: list[dict[str, Any]], ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the headline is best or tied everywhere, and leads in mean rank."""
    missed = [
        f"{case['table']} by {case['grouping']}, {case['objective']}"
        for case in cases
        if not case["headline_ties"]
    ]
    closest = min((e for e in ranks if e["method"] != OURS), key=lambda entry: entry["lead"])
    return {
        "best or tied within one standard error": {
            "met": not missed,
            "cases": len(cases),
            "missed": missed,
        },
        f"lead in mean rank of at least {LEAD:g}": {
            "met": closest["lead"] >= LEAD,
            "lead": closest["lead"],
            "over": closest["method"],
        },
    }


def _headline(methods: list[dict[str, Any]]) -> dict[str, Any]:
    return next(entry for entry in methods if entry["headline"])


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _sd(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
