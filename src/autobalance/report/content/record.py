"""The record of a run: the search's course, the data, settings and versions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.counts import Counts
from autobalance.report import figures, wording
from autobalance.report.picture import picture
from autobalance.report.units import class_units

_COLUMNS = ("evaluation", "objective", "best", "gradient_norm", "ridge", "temperature", "seconds")


def search_course(
    history: Sequence[Mapping[str, Any]], beside_training: bool = False
) -> dict[str, Any] | None:
    """The held-out objective at every evaluation; ``None`` if nothing was searched.

    Parameters
    ----------
    history
        Rows of ``history.csv``, numbers or their text.
    beside_training
        Whether the loss moved beside the training of a network. Its rows are moves, on running
        figures of which the lowest means nothing; the last one is a network trained with the end.
    """
    if beside_training:
        history = history[:-1]
    if not history:
        return None
    unit = "move" if beside_training else "evaluation"
    columns = [name for name in _COLUMNS if name in history[0]]
    rows = [[_as_float(row[name]) for name in columns] for row in history]
    evaluations, objective, best = (
        [float(row[name]) for row in history] for name in ("evaluation", "objective", "best")
    )
    description = (
        f"The held-out objective over {len(rows)} {unit}s: {wording.number(objective[0])} at the "
        f"start, {wording.number(objective[-1])} at the end, {wording.number(best[-1])} at best."
    )
    return {
        "unit": unit,
        "columns": [name.replace("_", " ") for name in columns],
        "rows": rows,
        "figure": picture(
            lambda width: figures.search_figure(
                evaluations, objective, None if beside_training else best, unit, width
            ),
            "search",
            "The course of the search",
            description,
        ),
    }


def data_facts(metrics: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """How many examples of what.

    Parameters
    ----------
    metrics
        Of the run.
    counts
        Training examples and labels.
    """
    units = class_units(counts)
    return {
        "most": units[0],
        "rarest": units[-1],
        "classes": counts.n_classes,
        "groups": None if counts.groups is None else counts.n_groups,
        "group_columns": [wording.readable(name) for name in metrics["group_columns"] or []],
        "rows": rows_text(metrics),
        "inputs": inputs_text(metrics["data"]),
    }


def names_read(metrics: Mapping[str, Any]) -> str:
    """Which columns the names of classes and groups come from, in a sentence or nothing."""
    target = metrics["settings"].get("target")
    groups = " and ".join(wording.readable(name) for name in metrics["group_columns"] or [])
    if target is None:
        return f"Groups are values of {groups}." if groups else ""
    target = wording.readable(target)
    return f"Names read {target} · {groups}." if groups else f"Classes are values of {target}."


def rows_text(metrics: Mapping[str, Any]) -> str:
    """How many rows of each split: ``6,677 train, 5,794 test``."""
    rows = metrics["data"]["rows"]
    return ", ".join(f"{wording.count(size)} {name}" for name, size in rows.items() if size)


def inputs_text(data: Mapping[str, Any]) -> str:
    """What the model takes: ``1,280 features`` or ``images of 3 × 64 × 64``."""
    if "images" in data:
        return f"images of {' × '.join(wording.count(size) for size in data['images'])}"
    number = data["features"]
    return f"{wording.count(number)} feature{'s' * (number != 1)}"


def settings_text(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings of a run on one line each."""
    return [(name, wording.setting_text(value)) for name, value in metrics["settings"].items()]


def _as_float(value: Any) -> float | None:
    number = math.nan if value in {None, ""} else float(value)
    return None if math.isnan(number) else number
