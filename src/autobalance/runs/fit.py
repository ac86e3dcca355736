"""From rows to everything that a run folder holds."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from autobalance.bench import TrainedHead
from autobalance.contest.contenders import OURS, closed_forms
from autobalance.contest.procedure import TrainingData
from autobalance.contest.recommend import Listener, recommend
from autobalance.counts import Counts
from autobalance.data.tables import give_back_memory
from autobalance.design import LossDesign
from autobalance.labels import Label, label_to_json
from autobalance.objectives import Objective, positive_label
from autobalance.provenance import versions_in_use
from autobalance.report.content.record import inputs_text
from autobalance.rows import Row, by_cell
from autobalance.runs.augmented import show_augmented
from autobalance.runs.examples import PreparedRows, prepare
from autobalance.runs.folder import METRICS_FORMAT, METRICS_VERSION, FinishedRun, SavedModel
from autobalance.runs.measure import measure_methods
from autobalance.runs.network_pace import NetworkPace
from autobalance.runs.pace import Pace
from autobalance.runs.reliability import measure_calibration
from autobalance.runs.request import FitRequest
from autobalance.runs.rows import Rows
from autobalance.runs.verdict import verdict_entry
from autobalance.runs.watch import Watch
from autobalance.search.folds import Folds
from autobalance.search.result import GONE_AHEAD, START_KEPT, SearchResult
from autobalance.search.settings import SearchSettings
from autobalance.tracking.course import Course


def fit_rows(
    rows: Rows,
    request: FitRequest,
    watch: Watch,
    checkpoints: Path | None = None,
    course: Course | None = None,
) -> FinishedRun:
    """Search the loss, train with it and with its rivals, and measure all of them.

    Parameters
    ----------
    rows
        Of a table or of images, as the columns of the request read them.
    request
        What is asked.
    watch
        Hears what is being done.
    checkpoints
        A folder for those of a network.
    course
        Hears of settings, of the search on all rows, and of the errors in the end.

    Raises
    ------
    AutoBalanceError
        If the rows, the objective or the settings do not go together; the message says how.
    """
    started = time.perf_counter()
    course = course or Course()
    objective = request.parse_objective()
    watch.stage(f"Preparing the {request.noun}s")
    handed_over = [rows]  # no name holds them, so that they go as soon as they are divided
    del rows
    prepared = prepare(handed_over.pop(), request.columns, request.drop_classes, request.train_on)
    give_back_memory()
    train, counts = prepared.train, prepared.counts
    objective = replace(objective, positive_class=_positive_class(request, objective, counts))
    data = TrainingData(
        train.features,
        train.y,
        train.g,
        np.ones(len(train)),
        counts.classes,
        counts.groups,
    )
    procedure = request.procedure(objective, prepared.reader, checkpoints)
    procedure.check(counts)
    folds = data.folds(procedure.held_out, request.seed)
    _introduce(prepared, folds, objective, request, watch)
    settings = request.settings(prepared.reader.shape)
    course.parameters({"objective": str(objective), **settings})
    watch.stage("Starting", 0.0)
    forms = closed_forms(counts.n_groups, objective.about_costs)
    pace = (
        Pace(watch, len(forms))
        if request.model is None
        else NetworkPace(watch, forms, request.training.epochs)
    )
    outcome = recommend(
        data,
        procedure,
        request.verdict,
        n_jobs=request.jobs,
        listener=Listener(
            pace.passes,
            pace.evaluation,
            pace.method,
            pace.passed,
            searched=lambda evaluation: course.evaluation(evaluation, counts),
            trained=course.training,
        ),
    )
    watch.stage("Measuring", 1.0)
    basis, examples, methods = measure_methods(
        outcome, prepared.test, objective.positive_class, request.seed
    )
    ours, kept = outcome.heads[OURS], outcome.kept
    space = procedure.space(outcome.bench)
    start = request.start
    start = Path(start).name if start.endswith(".json") else str(space.start.metadata["preset"])
    metrics = {
        "format": METRICS_FORMAT,
        "version": METRICS_VERSION,
        **objective.to_json(),
        "classes": [label_to_json(label) for label in counts.classes],
        "groups": None
        if counts.groups is None
        else [label_to_json(label) for label in counts.groups],
        "group_columns": list(request.columns.groups) or None,
        "data": {
            "source": Path(prepared.source).name,
            **_inputs(prepared.reader.shape),
            "rows": prepared.rows,
            "measured": examples,
            "counts": counts.values.tolist(),
            "notes": [*prepared.notes, *([f"{folds.note}."] if folds.note else [])],
        },
        "space": space.describe(),
        "search": {"start": start, **_search_facts(ours.result, outcome.bench.settings)},
        "kept": kept.name,
        "verdict": verdict_entry(
            outcome.verdict,
            outcome.note,
            str(objective),
            basis,
            methods,
            examples,
            start + ", with its policy" * (ours.design.policy is not None)
            if ours.result.status == START_KEPT
            else None,
            space.search_ridge and request.model is None,  # a network's start is kept as it was
        ),
        "basis": basis,
        "methods": methods,
        "calibration": measure_calibration(kept, outcome.bench, prepared.test),
        "settings": settings,
        "versions": versions_in_use(),
        "seconds": time.perf_counter() - started,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    course.parameters({"kept": kept.name, "measured on": basis, **space.describe()})
    course.measured(_errors(methods, kept.name, counts))
    return FinishedRun(
        SavedModel(kept.model, prepared.reader, objective),
        _with_origin(kept, objective, prepared.source, request),
        metrics,
        ours.result.history,
        None
        if ours.design.policy is None
        else show_augmented(ours.design.policy, counts, train, request.seed),
    )


def _errors(methods: list[dict[str, Any]], kept: str, counts: Counts) -> Row:
    """Errors with the loss that was kept, and the objective's error with every loss."""
    (of_kept,) = (method for method in methods if method["name"] == kept)
    return {
        "objective": of_kept["value"],
        **of_kept["summary"],
        **{f"objective, {method['name']}": method["value"] for method in methods},
        **by_cell("error", np.array(of_kept["cell_errors"], dtype=np.float64), counts),
    }


def _positive_class(request: FitRequest, objective: Objective, counts: Counts) -> Label:
    """The label that the user named by its text, or the default if it plays a part."""
    if request.positive_class is None:
        plays_a_part = any(name == "equal-opportunity" for name, _ in objective.terms)
        return counts.classes[1] if plays_a_part and counts.n_classes == 2 else None
    return positive_label(request.positive_class, counts)


def _introduce(
    data: PreparedRows, folds: Folds, objective: Objective, request: FitRequest, watch: Watch
) -> None:
    """Say what was understood, before anything takes long."""
    counts = data.counts
    rows = ", ".join(f"{size:,} {name}" for name, size in data.rows.items() if size)
    groups = "" if counts.groups is None else f", {counts.n_groups} groups"
    watch.say(
        f"{Path(data.source).name}: {rows} {data.noun}s; {inputs_text(_inputs(data.reader.shape))},"
        f" {counts.n_classes} classes{groups}."
    )
    for note in data.notes:
        watch.say(note)
    if folds.note:
        watch.say(f"{folds.note}.")
    why = ""
    if request.objective is None and request.costs is None:
        why = f" (the default with{'' if counts.groups is not None else 'out'} groups)"
    watch.say(f"Objective: {objective}{why}, on {_held_out(folds)}.")


def _inputs(shape: tuple[int, ...]) -> dict[str, Any]:
    """What the model takes, as the metrics hold it."""
    return {"features": shape[0]} if len(shape) == 1 else {"images": list(shape)}


def _held_out(folds: Folds) -> str:
    split = f"one split of {folds.held_out_share:.0%}"
    return split if len(folds) == 1 else f"{len(folds)} folds"


def _search_facts(result: SearchResult, settings: SearchSettings) -> dict[str, Any]:
    return {
        "folds": result.statistics["folds"],
        "evaluations": result.statistics["evaluations"],
        **{name: result.statistics[name] for name in GONE_AHEAD if name in result.statistics},
        "status": result.status,
        "message": result.message,
        "seconds": result.statistics["seconds"],
        "held_out_loss": settings.held_out_loss,
        "sharpness": settings.sharpness_used,
        "shrinkage": settings.shrinkage,
        "start_value": result.start_value,
        "value": result.value,
    }


def _with_origin(
    head: TrainedHead, objective: Objective, source: str, request: FitRequest
) -> LossDesign:
    return head.design.with_metadata(
        name=head.name,
        **objective.facts(),
        source=Path(source).name,
        seed=request.seed,
        versions=versions_in_use(),
    )
