"""Reliability diagrams of classes and groups, before and after a correction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from autobalance.counts import Counts
from autobalance.labels import Label
from autobalance.report import figures, wording
from autobalance.report.picture import picture

_MOST_DIAGRAMS = 9


def reliability_parts(
    measured: Mapping[str, Any], counts: Counts, group_columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Every class against the rest, and the predicted class in every group if there are groups.

    Where there are many classes or groups the diagrams are of those that were furthest off before.

    Parameters
    ----------
    measured
        What :func:`~autobalance.reliability.reliability_by_part` gave.
    counts
        Labels, and how many examples of each there are.
    group_columns
        What the groups are of.
    """
    classes = _rows(counts.classes, counts.per_class.tolist(), measured["classes"])
    heading = "Each class against the rest"
    if counts.n_classes == len(classes) == 2:  # the diagram of the other is the same, turned around
        classes = [min(classes, key=lambda row: float(row["examples"]))]
        heading = "The rarer class against the other"
    parts = [_part("classes", heading, "Class", classes, "share of the class")]
    if counts.groups is not None:
        groups = _rows(counts.groups, counts.values.sum(axis=0).tolist(), measured["groups"])
        of = wording.readable(" and ".join(group_columns)) or "group"
        parts.append(_part("groups", f"Predictions by {of}", "Group", groups, "share right"))
    return parts


def curve_of(written: Mapping[str, Any]) -> figures.Curve:
    """A reliability curve as the metrics hold it, ready to be drawn."""
    bins = written["bins"]
    return figures.Curve(
        [each["confidence"] for each in bins],
        [each["accuracy"] for each in bins],
        [each["weight"] for each in bins],
    )


def diagram(heading: str, pair: Mapping[str, Any], upward: str) -> figures.Reliability:
    """The curves ``raw`` and ``corrected`` as the metrics hold them, ready to be drawn."""
    return figures.Reliability(heading, curve_of(pair["raw"]), curve_of(pair["corrected"]), upward)


def _rows(
    labels: Iterable[Label],
    examples: Iterable[float],
    pairs: Iterable[Mapping[str, Any] | None],
) -> list[dict[str, Any]]:
    return [
        {
            "name": wording.label_name(label),
            "examples": size,
            "raw": float(pair["raw"]["ece"]),
            "corrected": float(pair["corrected"]["ece"]),
            "curves": pair,
        }
        for label, size, pair in zip(labels, examples, pairs, strict=True)
        if pair is not None
    ]


def _part(
    name: str, heading: str, of: str, rows: Sequence[Mapping[str, Any]], upward: str
) -> dict[str, Any]:
    worst = sorted(range(len(rows)), key=lambda i: -float(rows[i]["raw"]))[:_MOST_DIAGRAMS]
    return {
        "heading": heading,
        "of": of,
        "rows": rows,
        "hidden": len(rows) - len(worst),
        "figure": _picture(name, heading, [rows[i] for i in sorted(worst)], upward),
    }


def _picture(name: str, heading: str, rows: Sequence[Mapping[str, Any]], upward: str) -> Markup:
    diagrams = [diagram(row["name"], row["curves"], upward) for row in rows]
    described = "; ".join(
        f"{row['name']}: off by {wording.points_off(row['raw'])} before and "
        f"{wording.points_off(row['corrected'])} after"
        for row in rows
    )
    return picture(
        lambda width: figures.reliability_figure(diagrams, width),
        f"reliability-{name}",
        f"Reliability diagrams. {heading}",
        f"{described}. The table below holds the numbers.",
    )
