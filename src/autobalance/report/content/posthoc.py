"""What a correction of scores changed: the headline, and the numbers that did it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from autobalance.posthoc import PosthocCorrection
from autobalance.report import figures, wording
from autobalance.report.content.reliability import diagram
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
                "label": wording.capitalized(method["name"]),
                "method": method,
                "kept": method is after,
                "share": float(method["value"]) / largest,
            }
            for part, method in (("before", before), ("after", after))
        ],
        "measured_on": _BASES[metrics["basis"]].format(wording.count(metrics["rows"]["measured"])),
        "scope": "each group in its own way" if metrics["by_group"] else "all rows alike",
    }


def overall_reliability(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """How far the probabilities of the predicted classes are off before and after.

    Parameters
    ----------
    metrics
        Of the correction.
    """
    pair = metrics["reliability"]["overall"]
    raw, corrected = float(pair["raw"]["ece"]), float(pair["corrected"]["ece"])
    return {
        "raw": raw,
        "corrected": corrected,
        "figure": picture(
            lambda width: figures.reliability_figure([diagram("", pair, "share right")], width),
            "reliability",
            "Reliability diagram of the predicted classes",
            f"Off by {wording.points_off(raw)} before and {wording.points_off(corrected)} after.",
        ),
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
