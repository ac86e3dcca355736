"""The page itself: what is said where, from the metrics, the design and the search's history."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup
from matplotlib.figure import Figure

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.objectives import Objective
from autobalance.report import figures, wording
from autobalance.report.svg import inline_svg
from autobalance.report.units import Unit, cell_units, class_units, design_units

OURS = "AutoBalance"
BASELINE = "Cross-entropy"

_WIDE, _NARROW = 760, 340
_OPEN_ROWS = 12
_EXTREMES = 5
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")


def render_report(
    metrics: Mapping[str, Any], design: LossDesign, history: Sequence[Mapping[str, Any]]
) -> str:
    """One self-contained HTML page about a run; the same inputs give the same page.

    Parameters
    ----------
    metrics
        The parsed ``metrics.json`` of the run.
    design
        The designed loss.
    history
        The rows of ``history.csv``, numbers or their text; may be empty if nothing was searched.

    Raises
    ------
    ArtifactError
        If the metrics or the history lack something that the page needs.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "percent": wording.percent,
        "percent_interval": wording.percent_interval,
        "points": wording.points,
        "points_interval": wording.points_interval,
        "number": wording.number,
        "count": wording.count,
        "readable": wording.readable,
    }
    try:
        return templates.get_template("report.html.j2").render(_content(metrics, design, history))
    except (KeyError, IndexError, TypeError, ValueError, UndefinedError) as error:
        raise ArtifactError(
            f"the report cannot be made: metrics.json or history.csv is damaged or incomplete "
            f"({type(error).__name__}: {error}); run the fit again"
        ) from error


def _content(
    metrics: Mapping[str, Any], design: LossDesign, history: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    methods = {method["name"]: method for method in metrics["methods"]}
    before, after = methods[BASELINE], methods[OURS]
    ranked = sorted(methods.values(), key=lambda method: float(method["value"]))
    objective = wording.objective_name(metrics["objective"])
    units = cell_units(design.counts)
    headline, *further = _SENTENCE_END.split(wording.readable(metrics["verdict"]), maxsplit=1)
    return {
        "metrics": metrics,
        "design": design,
        "headline": headline,
        "further": " ".join(further),
        "objective": objective,
        "meanings": _meanings(metrics["objective"]),
        "examples": _examples_measured(metrics),
        "before": before,
        "after": after,
        "rival": next((m for m in ranked if m["name"] not in {OURS, BASELINE}), None),
        "comparison": {
            "methods": [{**method, "reading": _reading(method)} for method in ranked],
            "figure": _comparison_picture(ranked, objective),
        },
        "errors": {
            "of": "class" if design.counts.groups is None else "class and group",
            "figure": _errors_picture(units, before, after),
            "rows": _error_rows(units, before, after, "cell"),
            "by_rank": len(units) > figures.MOST_ROWS,
            **_changes(_error_rows(units, before, after, "cell")),
            "by_class": None
            if design.counts.groups is None
            else _error_rows(class_units(design.counts), before, after, "class"),
        },
        "summaries": list(after["summary"]),
        "summary_names": wording.OBJECTIVE_NAMES,
        "loss": _loss(design),
        "search": _search(history),
        "settings": [
            (name, wording.setting_text(value)) for name, value in metrics["settings"].items()
        ],
        "data": _data(metrics, design),
        "open_rows": _OPEN_ROWS,
    }


def _meanings(objective: str) -> list[tuple[str, str]]:
    return [
        (wording.OBJECTIVE_NAMES[name], wording.OBJECTIVE_MEANINGS[name])
        for name, _ in Objective.parse(objective).terms
    ]


def _examples_measured(metrics: Mapping[str, Any]) -> int:
    split = "test" if metrics["basis"] == "test split" else "train"
    return int(metrics["data"]["rows"][split])


def _reading(method: Mapping[str, Any]) -> str:
    """The paired difference in words, so that nobody has to compare signs."""
    difference = method["difference"]
    if difference is None:
        return ""
    low, high = difference["interval"]
    return "worse" if low > 0 else "better" if high < 0 else "no clear difference"


def _error_rows(
    units: Sequence[Unit], before: Mapping[str, Any], after: Mapping[str, Any], kind: str
) -> list[dict[str, Any]]:
    def entry(unit: Unit, method: Mapping[str, Any], what: str) -> Any:
        values = method[f"{kind}_{what}"]
        return unit.of_cell(values) if kind == "cell" else values[unit.class_index]

    rows = []
    for unit in units:
        old, new = entry(unit, before, "errors"), entry(unit, after, "errors")
        rows.append(
            {
                "name": unit.name,
                "examples": unit.examples,
                "before": old,
                "before_interval": entry(unit, before, "intervals"),
                "after": new,
                "after_interval": entry(unit, after, "intervals"),
                "change": None if old is None or new is None else new - old,
            }
        )
    return rows


def _changes(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    measured = sorted(
        (row for row in rows if row["change"] is not None), key=lambda row: float(row["change"])
    )
    gains = [row for row in measured if row["change"] < 0]
    losses = [row for row in reversed(measured) if row["change"] > 0]
    return {
        "measured": len(measured),
        "improved": len(gains),
        "worsened": len(losses),
        "largest": [("Largest gains", gains[:_EXTREMES]), ("Largest losses", losses[:_EXTREMES])],
    }


def _loss(design: LossDesign) -> dict[str, Any]:
    searched = {
        "w": ("weight w", design.weight, 1.0),
        "l": ("additive l", design.additive, 0.0),
        "δ": ("multiplicative δ", design.multiplicative, 1.0),
    }
    units = design_units(design.counts, *(values for _, values, _ in searched.values()))
    panels = {
        sign: figures.Panel(heading, [float(u.of_cell(values.tolist())) for u in units], neutral)
        for sign, (heading, values, neutral) in searched.items()
        if (values != neutral).any()
    }
    return {
        "of": "class" if units[0].group_index is None else "class and group",
        "neutral": [sign for sign in searched if sign not in panels],
        "signs": list(panels),
        "rows": [
            (unit.name, unit.examples, [panel.values[i] for panel in panels.values()])
            for i, unit in enumerate(units)
        ],
        "figure": _parameters_picture(units, list(panels.values())) if panels else None,
    }


def _search(history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not history:
        return None
    known = ("evaluation", "objective", "best", "gradient_norm", "ridge", "temperature", "seconds")
    columns = [name for name in known if name in history[0]]
    rows = [[_as_float(row[name]) for name in columns] for row in history]
    evaluations, objective, best = (
        [float(row[name]) for row in history] for name in ("evaluation", "objective", "best")
    )
    description = (
        f"The held-out objective over {len(rows)} evaluations: "
        f"{wording.number(objective[0])} at the start, {wording.number(best[-1])} at best."
    )
    return {
        "columns": [name.replace("_", " ") for name in columns],
        "rows": rows,
        "figure": _picture(
            lambda width: figures.search_figure(evaluations, objective, best, width),
            "search",
            "The course of the search",
            description,
        ),
    }


def _data(metrics: Mapping[str, Any], design: LossDesign) -> dict[str, Any]:
    units = class_units(design.counts)
    return {
        "most": units[0],
        "rarest": units[-1],
        "classes": design.counts.n_classes,
        "groups": None if design.counts.groups is None else design.counts.n_groups,
        "group_columns": [wording.readable(name) for name in metrics["group_columns"] or []],
        "rows": [(name, size) for name, size in metrics["data"]["rows"].items() if size],
    }


def _comparison_picture(ranked: Sequence[Mapping[str, Any]], objective: str) -> Markup:
    names = [wording.readable(method["name"]) for method in ranked]
    marks = [figures.Marks(method["value"], method["interval"]) for method in ranked]
    described = "; ".join(
        f"{name} {wording.percent(mark.value)}" for name, mark in zip(names, marks, strict=True)
    )
    return _picture(
        lambda width: figures.comparison_figure(names, marks, OURS, width),
        "comparison",
        f"{objective} of every loss, best first",
        f"{described}. The table below holds the intervals.",
    )


def _errors_picture(
    units: Sequence[Unit], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Markup:
    def marks(method: Mapping[str, Any]) -> list[figures.Marks]:
        errors, intervals = method["cell_errors"], method["cell_intervals"]
        return [figures.Marks(unit.of_cell(errors), unit.of_cell(intervals)) for unit in units]

    old, new = marks(before), marks(after)
    names = [unit.name for unit in units]

    def draw(width: int) -> Figure:
        if len(units) > figures.MOST_ROWS:
            return figures.error_ranks(_values(old), _values(new), width)
        return figures.error_rows(names, old, new, width)

    return _picture(
        draw,
        "errors",
        f"Errors with {BASELINE} and with {OURS}, most frequent first",
        "The table below holds the numbers.",
    )


def _parameters_picture(units: Sequence[Unit], panels: Sequence[figures.Panel]) -> Markup:
    names = [unit.name for unit in units]

    def draw(width: int) -> Figure:
        if len(units) > figures.MOST_ROWS:
            return figures.parameter_ranks(panels, width)
        return figures.parameter_rows(names, panels, width)

    headings = ", ".join(panel.heading for panel in panels)
    return _picture(
        draw,
        "parameters",
        "Parameters of the designed loss, most frequent first",
        f"{headings}. The table below holds the numbers.",
    )


def _picture(draw: Callable[[int], Figure], name: str, title: str, description: str) -> Markup:
    """A wide drawing and a narrow one; the page shows the one that fits, so text stays legible."""
    return Markup("").join(
        Markup('<div class="{}">{}</div>').format(
            shape, inline_svg(partial(draw, width), f"{name}-{shape}", title, description)
        )
        for shape, width in (("wide", _WIDE), ("narrow", _NARROW))
    )


def _values(marks: Sequence[figures.Marks]) -> list[float]:
    return [np.nan if mark.value is None else mark.value for mark in marks]


def _as_float(value: Any) -> float | None:
    number = math.nan if value in {None, ""} else float(value)
    return None if math.isnan(number) else number
