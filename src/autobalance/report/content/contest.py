"""The evidence: every method against the best on what none of them saw, and on the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from autobalance.report import figures, wording
from autobalance.report.picture import picture
from autobalance.report.roles import DECISION_RULE, Roles
from autobalance.report.scale import Scale, scale_of

_HOW = {
    "outer folds": "{folds} times, each time without another part of the training data, and "
    "predicted that part. So each of the {examples:,} examples is judged by a run that never saw "
    "it.",
    "untouched part": "on the training data less one part, and predicted that part: "
    "{examples:,} examples that it never saw.",
}


def evidence(metrics: Mapping[str, Any], roles: Roles) -> dict[str, Any] | None:
    """How every method stands to the best; ``None`` if the run has no verdict.

    Parameters
    ----------
    metrics
        Of the run.
    roles
        Who was kept.
    """
    verdict = metrics["verdict"]
    if verdict["basis"] is None:
        return None
    ranked = sorted(verdict["methods"], key=lambda method: float(method["value"]))
    kept, recommended = roles.kept["name"], verdict["recommended"]
    return {
        "kept": wording.readable(kept),
        "recommended": wording.readable(recommended),
        "overruled": kept != recommended,
        "how": "Every method ran its whole procedure (tuning, search and training) "
        + _HOW[verdict["basis"]].format(folds=verdict["folds"], examples=verdict["examples"]),
        "methods": [
            {**method, "reading": _standing(method, verdict, metrics["objective"])}
            for method in ranked
        ],
        "figure": _evidence_picture(ranked, kept, verdict["best"], scale_of(metrics["objective"])),
    }


def measured(metrics: Mapping[str, Any], roles: Roles) -> dict[str, Any] | None:
    """Every method where the run's figures were measured; ``None`` if the evidence says it all.

    Parameters
    ----------
    metrics
        Of the run.
    roles
        Who was kept.
    """
    if metrics["basis"] == metrics["verdict"]["basis"]:
        return None
    return {
        "methods": [{**method, "reading": _reading(method)} for method in roles.ranked],
        "figure": _comparison_picture(roles.ranked, roles.kept["name"], metrics["objective"]),
        "confirms": metrics["verdict"]["basis"] is not None,
    }


def _standing(method: Mapping[str, Any], verdict: Mapping[str, Any], objective: str) -> str:
    if method["name"] == verdict["best"]:
        return f"the lowest {scale_of(objective).noun}"
    if method["kind"] == DECISION_RULE:
        return "no loss, so not to be kept"
    return "worse" if method["distinguishable"] else "cannot be told apart"


def _reading(method: Mapping[str, Any]) -> str:
    """The paired difference in words, so that nobody has to compare signs."""
    difference = method["difference"]
    if difference is None:
        return ""
    low, high = difference["interval"]
    return "worse" if low > 0 else "better" if high < 0 else "no clear difference"


def _evidence_picture(
    ranked: Sequence[Mapping[str, Any]], kept: str, best: str, scale: Scale
) -> Markup:
    names = _names(ranked, kept)
    gaps = [method["to_best"] for method in ranked]
    marks = [
        figures.Marks(0.0) if gap is None else figures.Marks(gap["value"], gap["interval"])
        for gap in gaps
    ]
    worse = [bool(method["distinguishable"]) for method in ranked]
    described = "; ".join(
        f"{name} {scale.difference(mark.value)}{' (worse)' if apart else ''}"
        for name, mark, apart in zip(names, marks, worse, strict=True)
    )
    return picture(
        lambda width: figures.difference_figure(
            names, marks, worse, _name(kept, kept), width, scale
        ),
        "evidence",
        f"Every method’s difference to the best, {wording.readable(best)}, in {scale.unit}",
        f"{described}. The table below holds the intervals.",
    )


def _comparison_picture(ranked: Sequence[Mapping[str, Any]], kept: str, objective: str) -> Markup:
    names, scale = _names(ranked, kept), scale_of(objective)
    marks = [figures.Marks(method["value"], method["interval"]) for method in ranked]
    described = "; ".join(
        f"{name} {scale.value(mark.value)}" for name, mark in zip(names, marks, strict=True)
    )
    return picture(
        lambda width: figures.comparison_figure(names, marks, _name(kept, kept), width, scale),
        "comparison",
        f"{wording.objective_name(objective)} of every method, best first",
        f"{described}. The table below holds the intervals.",
    )


def _names(methods: Sequence[Mapping[str, Any]], kept: str) -> list[str]:
    return [_name(method["name"], kept) for method in methods]


def _name(name: str, kept: str) -> str:
    """As the figure labels it, with a word on the one that was kept."""
    return f"{wording.readable(name)}{' (kept)' if name == kept else ''}"
