"""The page about a correction of a trained model's scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autobalance.counts import Counts
from autobalance.errors import ArtifactError
from autobalance.labels import label_from_json
from autobalance.posthoc import PosthocCorrection
from autobalance.report import wording
from autobalance.report.content.errors import errors_by_unit, trade_off
from autobalance.report.content.posthoc import correction_values, opening, overall_reliability
from autobalance.report.content.reliability import reliability_parts
from autobalance.report.page import DAMAGE, fill
from autobalance.report.roles import Roles

BEFORE, AFTER = "Original scores", "corrected scores"
"""What the metrics and the page call the scores before and after."""

_SECTIONS = {
    "errors": "Errors",
    "trade-off": "Trade-off",
    "reliability": "Reliability",
    "correction": "Correction",
    "data": "Data",
}


def render_posthoc(metrics: Mapping[str, Any], correction: PosthocCorrection) -> str:
    """One self-contained HTML page; the same inputs give the same page.

    Parameters
    ----------
    metrics
        The parsed ``metrics.json`` of ``autobalance posthoc``.
    correction
        The one that is kept.

    Raises
    ------
    ArtifactError
        If the metrics lack something that the page needs.
    """
    try:
        return fill("posthoc.html.j2", _content(metrics, correction))
    except DAMAGE as error:
        raise ArtifactError(
            f"the page cannot be made: metrics.json is damaged or incomplete "
            f"({type(error).__name__}: {error}); make the correction again"
        ) from error


def roles_of(metrics: Mapping[str, Any]) -> Roles:
    """The scores before and after."""
    methods = {method["name"]: method for method in metrics["methods"]}
    return Roles(methods, methods[AFTER], baseline=BEFORE, changed=AFTER)


def _content(metrics: Mapping[str, Any], correction: PosthocCorrection) -> dict[str, Any]:
    roles = roles_of(metrics)
    groups, calibrated = metrics["groups"], metrics["asked"] == "calibration"
    counts = Counts(
        np.array(metrics["counts"]),
        tuple(map(label_from_json, metrics["classes"])),
        None if groups is None else tuple(map(label_from_json, groups)),
    )
    return {
        "metrics": metrics,
        "roles": roles,
        "objective": wording.objective_name(metrics["objective"]),
        "opening": opening(metrics, roles),
        "errors": errors_by_unit(roles, counts),
        "examples_of": "measured",
        "trade_off": None if calibrated else trade_off(metrics, roles),
        "reliability": {
            **overall_reliability(metrics),
            "parts": reliability_parts(metrics["reliability"], counts, metrics["group_columns"]),
        },
        "correction": correction_values(correction),
        "sections": [
            (target, name)
            for target, name in _SECTIONS.items()
            if not (calibrated and target == "trade-off")
        ],
    }
