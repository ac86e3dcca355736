"""What the sections of the comparison say of every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.design import LossDesign
from autobalance.report import figures, wording
from autobalance.report.comparability import Comparability
from autobalance.report.content.loss import method_design, parameter_spans
from autobalance.report.content.record import inputs_text, rows_text
from autobalance.report.picture import picture
from autobalance.report.roles import Roles
from autobalance.report.scale import ERROR_RATES, scale_of

Metrics = Mapping[str, Any]


def before_and_after(
    names: Sequence[str], metrics: Sequence[Metrics], roles: Sequence[Roles], common: Comparability
) -> dict[str, Any]:
    """The error asked for, with cross-entropy and with what each run kept."""
    rows = [
        {
            "name": name,
            "sample": sample,
            "objective": wording.objective_name(each["objective"]),
            "scale": scale_of(each["objective"]),
            "kept": wording.readable(role.kept["name"]),
            "before": role.before,
            "after": role.kept,
            "ours": role.ours,
            "change": role.kept["value"] - role.before["value"],
            "basis": each["basis"],
            "measured": each["data"]["measured"],
            "source": wording.readable(each["data"]["source"]),
        }
        for name, sample, each, role in zip(names, common.samples, metrics, roles, strict=True)
    ]
    labels = [
        label if common.one_objective else f"{label} · {row['objective']}"
        for label, row in zip(_labels(names, common), rows, strict=True)
    ]
    described = "; ".join(
        f"{label} {row['scale'].value(row['before']['value'])} to "
        f"{row['scale'].value(row['after']['value'])}"
        for label, row in zip(labels, rows, strict=True)
    )
    # costs and error rates have no common axis
    scale = rows[0]["scale"] if len({id(row["scale"]) for row in rows}) == 1 else ERROR_RATES
    drawn = [(label, row) for label, row in zip(labels, rows, strict=True) if row["scale"] is scale]
    old, new = ([_marks(row[part]) for _, row in drawn] for part in ("before", "after"))
    return {
        "rows": rows,
        "nouns": " and ".join(dict.fromkeys(f"{row['scale'].noun}s" for row in rows)),
        "units": " and ".join(dict.fromkeys(row["scale"].unit for row in rows)),
        "figure": picture(
            lambda width: figures.error_rows([label for label, _ in drawn], old, new, width, scale),
            "before-after",
            "The error asked for, with cross-entropy and with the method kept",
            f"{described}. The table below holds the intervals.",
        ),
    }


def every_objective(
    names: Sequence[str], metrics: Sequence[Metrics], roles: Sequence[Roles], common: Comparability
) -> dict[str, Any]:
    """Every objective that some run measured, for the method that each run kept."""
    order = [name for name in wording.OBJECTIVE_NAMES if any(name in _summary(r) for r in roles)]
    rows: list[dict[str, Any]] = [
        {
            "name": wording.capitalized(wording.OBJECTIVE_NAMES[name]),
            "cells": [
                {
                    "before": role.before["summary"].get(name),
                    "after": role.kept["summary"].get(name),
                    "asked": each["objective"] == name,
                }
                for each, role in zip(metrics, roles, strict=True)
            ],
        }
        for name in order
    ]
    labels = _labels(names, common)
    blocks = [
        figures.Block(
            row["name"],
            [figures.Marks(cell["before"]) for cell in row["cells"]],
            [figures.Marks(cell["after"]) for cell in row["cells"]],
        )
        for row in rows
    ]
    return {
        "headings": labels,
        "rows": rows,
        "figure": picture(
            lambda width: figures.error_blocks(labels, blocks, width),
            "objectives",
            "Every objective, with cross-entropy and with the method kept",
            "The table below holds the numbers.",
        ),
    }


def loss_rows(
    names: Sequence[str],
    designs: Sequence[LossDesign],
    metrics: Sequence[Metrics],
    roles: Sequence[Roles],
) -> list[dict[str, Any]]:
    """The kept loss of every run and, where it is another, the designed one."""
    rows = []
    for name, design, each, role in zip(names, designs, metrics, roles, strict=True):
        searched = {
            "parameters": ", ".join(each["space"]["parameters"]),
            "dictionary": f"{each['space']['dictionary']}, {each['space']['dimension']}",
        }
        rows.append(
            {
                "name": name,
                "loss": f"{wording.readable(role.kept['name'])}, kept",
                "spans": parameter_spans(design),
                "ridge": design.ridge,
                "searched": searched if role.kept is role.ours else None,
            }
        )
        if role.kept is not role.ours:
            ours = method_design(role.ours, design.counts)
            rows.append(
                {
                    "name": name,
                    "loss": f"{role.ours['name']}, not kept",
                    "spans": parameter_spans(ours),
                    "ridge": ours.ridge,
                    "searched": searched,
                }
            )
    return rows


def what_differs(metrics: Sequence[Metrics]) -> list[tuple[str, list[str]]]:
    """Data, settings and versions that are not the same in all runs."""
    listed = [
        {
            "data": each["data"]["source"],
            "inputs": inputs_text(each["data"]),
            "rows": rows_text(each),
            "objective": each["objective"],
            "verdict from": each["verdict"]["basis"] or "none",
            **each["settings"],
            **each["versions"],
        }
        for each in metrics
    ]
    names = dict.fromkeys(name for facts in listed for name in facts)
    table = [
        (
            wording.readable(name),
            [
                wording.setting_text(facts[name]) if name in facts else wording.DASH
                for facts in listed
            ],
        )
        for name in names
    ]
    return [(name, values) for name, values in table if len(set(values)) > 1]


def _labels(names: Sequence[str], common: Comparability) -> list[str]:
    """Names of the runs, with the letters of their samples where these differ."""
    if common.one_sample:
        return list(names)
    return [f"{letter} · {name}" for letter, name in zip(common.samples, names, strict=True)]


def _marks(method: Metrics) -> figures.Marks:
    return figures.Marks(method["value"], method["interval"])


def _summary(roles: Roles) -> Mapping[str, Any]:
    summary: Mapping[str, Any] = roles.kept["summary"]
    return summary
