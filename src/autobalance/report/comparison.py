"""The page that puts runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.report import wording
from autobalance.report.comparability import Comparability, comparability
from autobalance.report.content.side_by_side import (
    before_and_after,
    every_objective,
    loss_rows,
    what_differs,
)
from autobalance.report.page import DAMAGE, fill
from autobalance.report.roles import Roles
from autobalance.report.scale import scale_of


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One of the runs on the page.

    Parameters
    ----------
    name
        What the page calls it; all names differ.
    metrics
        Its parsed ``metrics.json``.
    design
        Its kept design.
    """

    name: str
    metrics: dict[str, Any]
    design: LossDesign


def render_comparison(runs: Sequence[ComparedRun]) -> str:
    """One self-contained HTML page about several runs; the same inputs give the same page.

    Parameters
    ----------
    runs
        At least one; the page keeps their order.

    Raises
    ------
    ArtifactError
        If some metrics lack something that the page needs.
    """
    try:
        return fill("comparison.html.j2", _content(runs))
    except DAMAGE as error:
        raise ArtifactError(
            f"the runs cannot be compared: a metrics.json is damaged or incomplete "
            f"({type(error).__name__}: {error}); run its fit again"
        ) from error


def _content(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    names = [wording.readable(run.name) for run in runs]
    metrics = [run.metrics for run in runs]
    roles = [Roles.of(each) for each in metrics]
    common = comparability(names, metrics)
    return {
        "names": names,
        "common": common,
        "heading": _heading(metrics, roles, common),
        "runs": before_and_after(names, metrics, roles, common),
        "verdicts": [
            (name, wording.readable(each["verdict"]["headline"]), each["verdict"])
            for name, each in zip(names, metrics, strict=True)
        ],
        "losses": loss_rows(names, [run.design for run in runs], metrics, roles),
        "objectives": every_objective(names, metrics, roles, common),
        "differing": what_differs(metrics),
    }


def _heading(
    metrics: Sequence[dict[str, Any]], roles: Sequence[Roles], common: Comparability
) -> str:
    start = f"{len(metrics)} run{'' if len(metrics) == 1 else 's'} side by side"
    if not (common.one_sample and common.one_objective):
        return start
    values = [float(role.kept["value"]) for role in roles]
    objective = wording.objective_name(metrics[0]["objective"])
    scale = scale_of(metrics[0]["objective"])
    low, high = scale.value(min(values)), scale.value(max(values))
    return f"{start}: {objective} {low}" if low == high else f"{start}: {objective} {low} to {high}"
