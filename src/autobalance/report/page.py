"""The pages: templates filled with what the content modules make of the metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.report import wording
from autobalance.report.content.augmentation import augmentation
from autobalance.report.content.calibration import calibration
from autobalance.report.content.contest import evidence, measured
from autobalance.report.content.errors import errors_by_unit, trade_off
from autobalance.report.content.loss import losses
from autobalance.report.content.opening import meanings, opening
from autobalance.report.content.record import data_facts, names_read, search_course, settings_text
from autobalance.report.roles import Roles
from autobalance.report.scale import ERROR_RATES, scale_of

DAMAGE = (ArithmeticError, AttributeError, LookupError, TemplateError, TypeError, ValueError)
"""What a page raises that was given something other than a run's metrics."""

_OPEN_ROWS = 12
_TIED_SPACE = re.compile(r" (?=→|\(±)|(?<=→) ")
_TIED_HYPHEN = re.compile(r"(?<=\w)-(?=[A-Z]{2})")


def render_report(
    metrics: Mapping[str, Any],
    design: LossDesign,
    history: Sequence[Mapping[str, Any]],
    augmented: Mapping[str, Any] | None = None,
) -> str:
    """One self-contained HTML page about a run; the same inputs give the same page.

    Parameters
    ----------
    metrics
        The parsed ``metrics.json`` of the run.
    design
        The kept design.
    history
        The rows of ``history.csv``, numbers or their text; may be empty if nothing was searched.
    augmented
        The parsed ``augmentation.json`` of the run, if it has one.

    Raises
    ------
    ArtifactError
        If one of them lacks something that the page needs.
    """
    try:
        content = _report_content(metrics, design, history, augmented)
        return fill("report.html.j2", content)
    except DAMAGE as error:
        files = ["metrics.json", "history.csv", *(["augmentation.json"] if augmented else [])]
        raise ArtifactError(
            f"the report cannot be made: {' or '.join(files)} is damaged or incomplete "
            f"({type(error).__name__}: {error}); run the fit again"
        ) from error


def fill(template: str, content: Mapping[str, Any]) -> str:
    """The text of a page from a template of this package."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["open_rows"] = _OPEN_ROWS
    templates.globals["rates"] = ERROR_RATES
    templates.filters |= {
        name: getattr(wording, name)
        for name in (
            "capitalized",
            "count",
            "number",
            "percent",
            "percent_interval",
            "points",
            "points_off",
            "readable",
        )
    }
    templates.filters["tied"] = _tied
    return templates.get_template(template).render(content)


def _tied(text: str) -> str:
    """The text with no line break beside an arrow, before a ± or in a name such as Group-VS."""
    return _TIED_HYPHEN.sub("-\u2060", _TIED_SPACE.sub("\u00a0", text))


def _report_content(
    metrics: Mapping[str, Any],
    design: LossDesign,
    history: Sequence[Mapping[str, Any]],
    augmented: Mapping[str, Any] | None,
) -> dict[str, Any]:
    roles = Roles.of(metrics)
    content = {
        "metrics": metrics,
        "roles": roles,
        "objective": wording.objective_name(metrics["objective"]),
        "scale": scale_of(metrics["objective"]),
        "meanings": meanings(metrics["objective"]),
        "opening": opening(metrics, roles),
        "evidence": evidence(metrics, roles),
        "measured": measured(metrics, roles),
        "loss": losses(design, roles),
        "augmentation": augmentation(augmented, design.counts),
        "errors": errors_by_unit(roles, design.counts),
        "trade_off": trade_off(metrics, roles),
        "calibration": calibration(metrics, design.counts),
        "search": search_course(history, beside_training="model" in metrics["settings"]),
        "data": data_facts(metrics, design.counts),
        "settings": settings_text(metrics),
        "names_read": names_read(metrics),
    }
    return {**content, "sections": _sections(content)}


def _sections(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the page's own links lead."""
    possible = [
        ("evidence", "Evidence" if content["evidence"] else ""),
        ("measured", _measured_link(content)),
        ("loss", "Loss"),
        ("augmentation", "Augmentation" if content["augmentation"] else ""),
        ("errors", "Errors"),
        ("trade-off", "Trade-off"),
        ("calibration", "Calibration"),
        ("search", "Search"),
        ("data", "Data"),
        ("settings", "Settings"),
    ]
    return [(target, name) for target, name in possible if name]


def _measured_link(content: Mapping[str, Any]) -> str:
    if not content["measured"]:
        return ""
    return "Confirmation" if content["evidence"] else "Comparison"
