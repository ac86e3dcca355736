"""Errors before and after, by class or cell, and on every objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from autobalance.counts import Counts
from autobalance.report import figures, wording
from autobalance.report.picture import picture
from autobalance.report.roles import Roles
from autobalance.report.scale import ERROR_RATES, scale_of
from autobalance.report.units import Unit, cell_units, class_units

_EXTREMES = 5


def errors_by_unit(roles: Roles, counts: Counts) -> dict[str, Any]:
    """Errors of every class or cell, most frequent first.

    Parameters
    ----------
    roles
        Who comes before and who after.
    counts
        Training examples and labels.
    """
    units = cell_units(counts)
    rows = _rows(units, roles, "cell")
    return {
        "of": "class" if counts.groups is None else "class and group",
        "figure": _picture(units, roles),
        "rows": rows,
        "by_rank": len(units) > figures.MOST_ROWS,
        **_changes(rows),
        "by_class": None if counts.groups is None else _rows(class_units(counts), roles, "class"),
        "costs": _cost_rows(units, roles) if "cell_costs" in roles.after else [],
    }


def trade_off(metrics: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    """Every objective before and after, and of every method.

    A sum of objectives that was asked for comes first, since the summaries hold single ones only.

    Parameters
    ----------
    metrics
        Of the run.
    roles
        Who comes before and who after.
    """
    asked = metrics["objective"]
    summaries = {
        name: {wording.objective_name(key): value for key, value in method["summary"].items()}
        for name, method in roles.methods.items()
    }
    title = wording.objective_name(asked)
    if title not in summaries[roles.after["name"]]:
        summaries = {
            name: {title: roles.methods[name]["value"], **summary}
            for name, summary in summaries.items()
        }
    before, after = (summaries[method["name"]] for method in (roles.before, roles.after))
    beside = None if roles.beside is None else summaries[roles.beside["name"]]
    rows = [
        {
            "name": wording.capitalized(name),
            "asked": name == title,
            "scale": scale_of(asked) if name == title else ERROR_RATES,
            "before": before[name],
            "after": value,
            "change": value - before[name],
            "beside": None if beside is None else beside[name],
            "beside_change": None if beside is None else beside[name] - before[name],
        }
        for name, value in after.items()
    ]
    return {
        "rows": rows,
        "names": [row["name"] for row in rows],
        "methods": [
            (method["name"], [summaries[method["name"]][name] for name in after])
            for method in roles.ranked
        ],
        "figure": _trade_off_picture(rows, roles),
    }


def _rows(units: Sequence[Unit], roles: Roles, kind: str) -> list[dict[str, Any]]:
    def entry(unit: Unit, method: Mapping[str, Any], what: str) -> Any:
        values = method[f"{kind}_{what}"]
        return unit.of_cell(values) if kind == "cell" else values[unit.class_index]

    rows = []
    for unit in units:
        old, new = entry(unit, roles.before, "errors"), entry(unit, roles.after, "errors")
        rows.append(
            {
                "name": unit.name,
                "examples": unit.examples,
                "before": old,
                "before_interval": entry(unit, roles.before, "intervals"),
                "after": new,
                "after_interval": entry(unit, roles.after, "intervals"),
                "change": None if old is None or new is None else new - old,
            }
        )
    return rows


def _cost_rows(units: Sequence[Unit], roles: Roles) -> list[dict[str, Any]]:
    """What the decisions cost in each unit, before and after."""
    rows = []
    for unit in units:
        old, new = (unit.of_cell(each["cell_costs"]) for each in (roles.before, roles.after))
        change = None if old is None or new is None else new - old
        rows.append({"name": unit.name, "before": old, "after": new, "change": change})
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


def _picture(units: Sequence[Unit], roles: Roles) -> Markup:
    def marks(method: Mapping[str, Any]) -> list[figures.Marks]:
        errors, intervals = method["cell_errors"], method["cell_intervals"]
        return [figures.Marks(unit.of_cell(errors), unit.of_cell(intervals)) for unit in units]

    old, new = marks(roles.before), marks(roles.after)
    names = [unit.name for unit in units]

    def draw(width: int) -> Figure:
        if len(units) > figures.MOST_ROWS:
            return figures.error_ranks(_values(old), _values(new), width)
        return figures.error_rows(names, old, new, width)

    pair = " and with ".join(wording.readable(m["name"]) for m in (roles.before, roles.after))
    return picture(
        draw,
        "errors",
        f"Errors with {pair}, most frequent first",
        "The table below holds the numbers.",
    )


def _trade_off_picture(rows: Sequence[Mapping[str, Any]], roles: Roles) -> Markup:
    rows = [row for row in rows if row["scale"] is ERROR_RATES]  # a cost has another axis
    panel = figures.Panel(
        "points; left is better",
        [row["change"] for row in rows],
        0.0,
        None if roles.beside is None else [row["beside_change"] for row in rows],
        points=True,
    )
    names = [row["name"] for row in rows]
    bold = [i for i, row in enumerate(rows) if row["asked"]]
    described = "; ".join(f"{row['name']} {wording.points(row['change'])}" for row in rows)
    return picture(
        lambda width: figures.parameter_rows(names, [panel], width, bold),
        "trade-off",
        "Change of every objective in percentage points",
        f"{described}. The table below holds the numbers.",
    )


def _values(marks: Sequence[figures.Marks]) -> list[float]:
    return [np.nan if mark.value is None else float(mark.value) for mark in marks]
