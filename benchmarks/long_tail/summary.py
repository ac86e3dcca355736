"""From rows to means, paired differences to the headline, and goals."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.long_tail.methods import FIXED, HEADLINE, POST_HOC

Row = dict[str, Any]

LEAD = {"cifar10-lt": 1.0}
"""By how many points the headline should be ahead, beyond one standard error."""


def summarise(rows: list[Row]) -> list[Row]:
    """One entry for each method, best first.

    ``difference`` is how much larger its balanced error is than the headline's, paired by seed:
    the mean over the seeds that both have, and its standard error.
    """
    by_method: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_method.setdefault(row["method"], {})[row["seed"]] = row
    headline = by_method.get(HEADLINE, {})
    entries = []
    for method, own in by_method.items():
        errors = [row["balanced"] for row in own.values()]
        gaps = [
            own[seed]["balanced"] - headline[seed]["balanced"] for seed in own.keys() & headline
        ]
        entries.append(
            {
                "method": method,
                "kind": next(iter(own.values()))["kind"],
                "headline": method == HEADLINE,
                "seeds": len(own),
                "balanced": float(np.mean(errors)),
                "standard_error": standard_error_of(errors),
                "difference": float(np.mean(gaps)) if gaps else None,
                "difference_standard_error": standard_error_of(gaps),
                "class_errors": np.mean([row["class_errors"] for row in own.values()], 0)
                .round(2)
                .tolist(),
                "seconds": float(np.median([row["seconds"] for row in own.values()])),
            }
        )
    return sorted(entries, key=lambda entry: float(entry["balanced"]))


def goals(dataset: str, summary: list[Row]) -> dict[str, Row]:
    """Whether the headline is ahead of the best known loss, tuned or not, and of a tuned bias.

    A grid over the line that the headline searches is no known loss: it is in the table, to show
    what the search is worth beside it.
    """
    rivals = [entry for entry in summary if entry["kind"] in (FIXED, POST_HOC)]
    if not any(entry["headline"] for entry in summary) or not rivals:
        return {}
    best = min(rivals, key=lambda entry: float(entry["balanced"]))
    lead, error = best["difference"], best["difference_standard_error"]
    facts = {"over": best["method"], "lead": lead, "standard_error": error}
    reached = {
        "ahead of the best rival by more than one standard error": {
            "met": error is not None and lead > error,
            **facts,
        }
    }
    if dataset in LEAD:
        points = LEAD[dataset]
        reached[f"ahead of the best rival by at least {points:g} point"] = {
            "met": lead >= points,
            **facts,
        }
    return reached


def standard_error_of(values: list[float]) -> float | None:
    """Of the mean; ``None`` for fewer than two values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
