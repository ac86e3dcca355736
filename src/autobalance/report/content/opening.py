"""The verdict in words and the figures that carry it, which a reader sees first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autobalance.objectives import Objective
from autobalance.report import wording
from autobalance.report.roles import BASELINE, OURS, Roles, measured_on


def opening(metrics: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    """Headline, what was kept, and the figures side by side.

    Parameters
    ----------
    metrics
        Of the run.
    roles
        Who was kept, and from what.
    """
    verdict = metrics["verdict"]
    scores = _scores(roles)
    largest = max(float(score["method"]["value"]) for score in scores) or 1.0
    return {
        "headline": wording.readable(verdict["headline"]),
        "text": wording.readable(verdict["text"]),
        "judged": verdict["basis"] is not None,
        "kept": _kept(roles),
        "scores": [
            {
                **score,
                "kept": score["method"] is roles.kept,
                "share": float(score["method"]["value"]) / largest,
            }
            for score in scores
        ],
        "measured_on": measured_on(metrics),
        "optimistic": metrics["basis"] == "held-out folds",
    }


def meanings(objective: str) -> list[tuple[str, str]]:
    """Every term of an objective and what it means."""
    return [
        (wording.OBJECTIVE_NAMES[name], wording.OBJECTIVE_MEANINGS[name])
        for name, _ in Objective.parse(objective).terms
    ]


def _scores(roles: Roles) -> list[dict[str, Any]]:
    """Before, after, and the one that the reader will ask about next."""
    rest = (m for m in roles.ranked if m["name"] not in {OURS, BASELINE})
    rival = roles.beside or next(rest, None)
    kept_nothing = roles.kept is roles.before
    scores = [
        {
            "part": "before",
            "label": f"{roles.before['name']}, {'kept' if kept_nothing else 'before'}",
            "method": roles.before,
        },
        {
            "part": "after",
            "label": f"{OURS}’s loss, not kept"
            if kept_nothing
            else f"{wording.readable(roles.kept['name'])}, kept",
            "method": roles.after,
        },
    ]
    if rival is not None:
        ours = rival is roles.ours
        name = wording.readable(rival["name"])
        scores.append(
            {
                "part": "other" if ours else "rival",
                "label": f"{OURS}’s loss, not kept" if ours else f"Best of the rest: {name}",
                "method": rival,
            }
        )
    return scores


def _kept(roles: Roles) -> str:
    if roles.kept is roles.ours:
        return "The model in this folder was trained with the designed loss."
    return (
        "The model in this folder predicts with it; AutoBalance’s designed loss is shown beside it."
    )
