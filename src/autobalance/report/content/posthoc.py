"""What a correction of scores changed: the headline, its reliability, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from autobalance.counts import Counts
from autobalance.posthoc import PosthocCorrection
from autobalance.report import figures, wording
from autobalance.report.content.calibration import curve_of
from autobalance.report.picture import picture
from autobalance.report.roles import Roles
from autobalance.report.units import cell_units

_KINDS = {
    "vector-scaling": "vector scaling",
    "bias": "a tuned bias",
    "prior": "prior correction",
}
_BASES = {
    "test split": "the {} test rows, which the correction was not fitted on",
    "cross-fitted": "{} rows, each with a correction that was fitted without it",
}
_MOST_DIAGRAMS = 9


def opening(metrics: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    """Headline, what the difference is, and both figures.

    Parameters
    ----------
    metrics
        Of the correction.
    roles
        The scores before and after.
    """
    before, after = roles.before, roles.after
    difference = metrics["difference"]
    low, high = difference["interval"]
    if high < 0:
        outcome = "the correction lowers it"
    elif low > 0:
        outcome = "the correction raises it"
    else:
        outcome = "these rows do not tell the two apart"
    largest = max(float(before["value"]), float(after["value"])) or 1.0
    name = wording.capitalized(wording.objective_name(metrics["objective"]))
    change = (
        f"{wording.points(difference['value'])} points (95% interval "
        f"{wording.points_interval(difference['interval'])}), measured on the same rows before and "
        f"after: {outcome}."
    )
    values = wording.percent(before["value"]), wording.percent(after["value"])
    if metrics["asked"] == "calibration":
        overall = metrics["reliability"]["overall"]
        values = (
            wording.points_off(overall["raw"]["ece"]),
            wording.points_off(overall["corrected"]["ece"]),
        )
        name, change = "Stated probabilities off by", f"{name}: {change}"
    return {
        "headline": f"{name} {values[0]} → {values[1]} with {_KINDS[metrics['kind']]}",
        "text": change,
        "scores": [
            {
                "part": part,
                "label": method["name"],
                "method": method,
                "kept": method is after,
                "share": float(method["value"]) / largest,
            }
            for part, method in (("before", before), ("after", after))
        ],
        "measured_on": _BASES[metrics["basis"]].format(wording.count(metrics["rows"]["measured"])),
        "scope": "each group in its own way" if metrics["by_group"] else "all rows alike",
    }


def reliability(metrics: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Reliability before and after: of the predicted class, of each class, and in each group.

    Where there are many classes or groups the diagrams are of those that were furthest off before.

    Parameters
    ----------
    metrics
        Of the correction.
    counts
        Measured examples and labels.
    """
    measured = metrics["reliability"]
    whole = _row("predicted class, all rows", metrics["rows"]["measured"], measured["overall"])
    classes = [
        _row(wording.label_name(label), examples, pair)
        for label, examples, pair in zip(
            counts.classes, counts.per_class.tolist(), measured["classes"], strict=True
        )
    ]
    groups = [
        _row(wording.label_name(label), counts.values[:, j].sum(), measured["groups"][j])
        for j, label in enumerate(counts.groups or ())
        if measured["groups"][j] is not None
    ]
    heading = "Each class against the rest"
    if len(classes) == 2:  # the diagram of the other is the same, turned around
        classes = [min(classes, key=lambda row: float(row["examples"]))]
        heading = "The rarer class against the other"
    parts = [
        ("overall", "The predicted class", "Rows", [whole], "share right"),
        ("classes", heading, "Class", classes, "share of the class"),
    ]
    if groups:
        of = wording.readable(" and ".join(metrics["group_columns"]))
        parts.append(("groups", f"The predicted class, by {of}", "Group", groups, "share right"))
    return {
        "raw": whole["raw"],
        "corrected": whole["corrected"],
        "parts": [
            {
                "heading": heading,
                "of": of,
                "rows": rows,
                "hidden": max(0, len(rows) - _MOST_DIAGRAMS),
                "figure": _picture(name, heading, rows, upward),
            }
            for name, heading, of, rows, upward in parts
        ],
    }


def correction_values(correction: PosthocCorrection) -> dict[str, Any]:
    """Slopes and biases by class, or by class and group, most frequent first.

    Parameters
    ----------
    correction
        The one that is kept.
    """
    units = cell_units(correction.counts)
    slope, bias = (
        [float(unit.of_cell(values.tolist())) for unit in units]
        for values in (correction.slope, correction.bias)
    )
    panels = [figures.Panel("bias b", bias, 0.0)]
    if np.ptp(slope) > 0:
        panels.insert(0, figures.Panel("slope a", slope, 1.0))

    def draw(width: int) -> Figure:
        if len(units) > figures.MOST_ROWS:
            return figures.parameter_ranks(panels, width)
        return figures.parameter_rows([unit.name for unit in units], panels, width)

    return {
        "of": "class and group" if correction.by_group else "class",
        "rows": [
            (unit.name, unit.examples, *values)
            for unit, *values in zip(units, slope, bias, strict=True)
        ],
        "figure": picture(
            draw,
            "correction",
            "Slopes and biases of the correction, most frequent first",
            "The table below holds the numbers.",
        ),
    }


def _row(name: str, examples: wording.Number, pair: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "examples": examples,
        "raw": float(pair["raw"]["ece"]),
        "corrected": float(pair["corrected"]["ece"]),
        "curves": pair,
    }


def _picture(name: str, heading: str, rows: Sequence[Mapping[str, Any]], upward: str) -> Markup:
    worst = sorted(range(len(rows)), key=lambda i: -float(rows[i]["raw"]))[:_MOST_DIAGRAMS]
    diagrams = [
        figures.Reliability(
            wording.capitalized(rows[i]["name"]),
            curve_of(rows[i]["curves"]["raw"]),
            curve_of(rows[i]["curves"]["corrected"]),
            upward,
        )
        for i in sorted(worst)
    ]
    described = "; ".join(
        f"{row['name']}: off by {wording.points_off(row['raw'])} before and "
        f"{wording.points_off(row['corrected'])} after"
        for row in rows
    )
    return picture(
        lambda width: figures.reliability_figure(diagrams, width),
        f"reliability-{name}",
        f"Reliability diagrams. {heading}",
        f"{described}.",
    )
