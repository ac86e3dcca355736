"""Whether stated probabilities can be believed, before and after correction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from autobalance.counts import Counts
from autobalance.report import figures, wording
from autobalance.report.content.reliability import diagram, reliability_parts
from autobalance.report.picture import picture

_PRIORS = {
    "train": "classes as frequent as in training",
    "balanced": "all classes equally frequent",
}


def calibration(metrics: Mapping[str, Any], counts: Counts) -> dict[str, Any] | None:
    """Reliability of the kept model for each prior; ``None`` if it could not be measured.

    Parameters
    ----------
    metrics
        Of the run; those of earlier releases have no curves of classes and groups.
    counts
        Training examples and labels.
    """
    measured = metrics["calibration"]
    if measured is None:
        return None
    rows = [
        {
            "name": _PRIORS[name],
            "raw": float(curves["raw"]["ece"]),
            "corrected": float(curves["corrected"]["ece"]),
        }
        for name, curves in measured["priors"].items()
    ]
    return {
        "basis": measured["basis"],
        "examples": measured["examples"],
        "rows": rows,
        "bins": [
            (_PRIORS[name], kind, curves[kind]["bins"])
            for name, curves in measured["priors"].items()
            for kind in ("raw", "corrected")
        ],
        "figure": _picture(measured["priors"], rows),
        "parts": reliability_parts(measured, counts, metrics["group_columns"] or [])
        if "classes" in measured
        else [],
    }


def _picture(priors: Mapping[str, Any], rows: list[dict[str, Any]]) -> Markup:
    diagrams = [
        diagram(wording.capitalized(_PRIORS[name]), curves, "share right")
        for name, curves in priors.items()
    ]
    described = "; ".join(
        f"{row['name']}: off by {wording.points_off(row['raw'])} before and "
        f"{wording.points_off(row['corrected'])} after correction"
        for row in rows
    )
    return picture(
        lambda width: figures.reliability_figure(diagrams, width),
        "calibration",
        "Reliability diagrams: share right against stated probability",
        f"{described}. The table below holds the bins.",
    )
