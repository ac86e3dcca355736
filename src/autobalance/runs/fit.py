"""From a table to everything that a run folder holds."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import autobalance
from autobalance.bench import TrainedHead
from autobalance.contest.contenders import OURS, closed_forms
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.contest.recommend import Listener, recommend
from autobalance.counts import Counts
from autobalance.data.tables import Table
from autobalance.data.wording import listing
from autobalance.design import LossDesign
from autobalance.errors import DesignError, ObjectiveError
from autobalance.labels import Label, label_text, label_to_json
from autobalance.losses.presets import PRESETS
from autobalance.network_bench import TABULAR_TRAINING, NetworkSettings
from autobalance.objectives import Objective
from autobalance.runs.columns import Columns
from autobalance.runs.examples import PreparedTable, prepare_table
from autobalance.runs.folder import METRICS_FORMAT, METRICS_VERSION, FinishedRun, SavedModel
from autobalance.runs.measure import measure_methods
from autobalance.runs.pace import Pace
from autobalance.runs.reliability import measure_calibration
from autobalance.runs.verdict import verdict_entry
from autobalance.runs.watch import Watch
from autobalance.search.constraints import Constraint
from autobalance.search.folds import Folds
from autobalance.search.result import START_KEPT, SearchResult
from autobalance.search.settings import AUTO, SearchSettings
from autobalance.training.settings import TrainingSettings


@dataclass(frozen=True)
class FitRequest:
    """What a user asks of a fit.

    Parameters
    ----------
    columns
        Which column is what.
    objective
        An expression, or ``None`` for ``balanced`` without and ``group-balanced`` with groups.
    positive_class
        By its text; ``None`` for the last of two classes.
    empty_cells
        ``"error"`` or ``"drop"``.
    drop_classes
        Classes to leave out, by their text.
    train_on
        Parts of the split that are fitted and searched on.
    cv
        Number of folds, or a share for one split.
    parameters, dictionary
        What is searched and how finely; see :class:`~autobalance.space.SearchSpace`.
    start
        Name of a preset, path of a design file, or ``"auto"``.
    constraints
        Limits on other objectives, such as ``error<=0.3``.
    verdict
        Outer folds, a share to leave untouched, ``"auto"``, or ``None``; see
        :func:`~autobalance.contest.recommend.recommend`.
    jobs
        Outer parts handled at once.
    seed
        Of the folds and the bootstrap, and of a network's weights and batches; nothing else is
        random.
    model
        A network instead of a linear head; see
        :class:`~autobalance.network_bench.NetworkSettings`.
    training
        How the network is trained.
    """

    columns: Columns
    objective: str | None = None
    positive_class: str | None = None
    empty_cells: str = "error"
    drop_classes: tuple[str, ...] = ()
    train_on: tuple[str, ...] = ("train",)
    cv: int | float = 5
    parameters: str | tuple[str, ...] = AUTO
    dictionary: str = AUTO
    start: str = AUTO
    constraints: tuple[str, ...] = ()
    verdict: str | int | float | None = AUTO
    jobs: int = 1
    seed: int = 0
    model: str | None = None
    training: TrainingSettings = TABULAR_TRAINING

    def parse_objective(self) -> Objective:
        """The objective, not yet tied to classes.

        Raises
        ------
        ObjectiveError
            If the expression or a constraint cannot be read.
        """
        default = "group-balanced" if self.columns.groups else "balanced"
        for text in self.constraints:
            Constraint.parse(text)
        return Objective.parse(default if self.objective is None else self.objective)


def fit_table(
    table: Table, request: FitRequest, watch: Watch, checkpoints: Path | None = None
) -> FinishedRun:
    """Search the loss, train with it and with its rivals, and measure all of them.

    Parameters
    ----------
    table
        With every column that has a role.
    request
        What is asked.
    watch
        Hears what is being done.
    checkpoints
        A folder for those of a network.

    Raises
    ------
    AutoBalanceError
        If the table, the objective or the settings do not go together; the message says how.
    """
    started = time.perf_counter()
    objective = request.parse_objective()
    prepared = prepare_table(table, request.columns, request.drop_classes, request.train_on)
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
    procedure = Procedure(
        objective,
        request.cv,
        request.seed,
        request.empty_cells,
        request.parameters,
        request.dictionary,
        start=_start(request.start),
        constraints=tuple(
            Constraint.parse(text, objective.positive_class) for text in request.constraints
        ),
        standardise=not prepared.encoder.one_vector,
        network=None
        if request.model is None
        else NetworkSettings(request.model, request.training, checkpoints=checkpoints),
    )
    procedure.check(counts)
    folds = data.folds(procedure.held_out, request.seed)
    _introduce(prepared, folds, objective, request, watch)
    watch.stage("Preparing the features", 0.0)
    pace = Pace(watch, len(closed_forms(counts.n_groups)))
    outcome = recommend(
        data,
        procedure,
        request.verdict,
        n_jobs=request.jobs,
        listener=Listener(pace.passes, pace.evaluation, pace.method, pace.passed),
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
        "objective": str(objective),
        "positive_class": label_to_json(objective.positive_class),
        "classes": [label_to_json(label) for label in counts.classes],
        "groups": None
        if counts.groups is None
        else [label_to_json(label) for label in counts.groups],
        "group_columns": list(request.columns.groups) or None,
        "data": {
            "source": Path(prepared.source).name,
            "features": int(train.features.shape[1]),
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
            start if ours.result.status == START_KEPT else None,
            space.search_ridge and request.model is None,  # a network's start is kept as it was
        ),
        "basis": basis,
        "methods": methods,
        "calibration": measure_calibration(kept, outcome.bench, prepared.test),
        "settings": _settings(request),
        "versions": _versions(),
        "seconds": time.perf_counter() - started,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return FinishedRun(
        SavedModel(
            kept.model,
            prepared.encoder,
            request.columns,
            str(objective),
            objective.positive_class,
        ),
        _with_origin(kept, str(objective), prepared.source, request),
        metrics,
        ours.result.history,
    )


def _positive_class(request: FitRequest, objective: Objective, counts: Counts) -> Label:
    """The label that the user named by its text, or the default if it plays a part."""
    if request.positive_class is None:
        plays_a_part = any(name == "equal-opportunity" for name, _ in objective.terms)
        return counts.classes[1] if plays_a_part and counts.n_classes == 2 else None
    for label in counts.classes:
        if label_text(label) == request.positive_class:
            return label
    names = [label_text(label) for label in counts.classes]
    raise ObjectiveError(
        f"the positive class {request.positive_class!r} is not among the classes; they are "
        f"{listing(names, limit=20)}"
    )


def _start(name: str) -> str | LossDesign:
    """The name of a preset, or the design in a file."""
    if name == AUTO or name in PRESETS:
        return name
    if not name.endswith(".json"):
        raise DesignError(
            f"start {name!r} is neither a preset ({', '.join(PRESETS)}) nor a design file (.json)"
        )
    return LossDesign.load(name)


def _introduce(
    data: PreparedTable, folds: Folds, objective: Objective, request: FitRequest, watch: Watch
) -> None:
    """Say what was understood, before anything takes long."""
    counts = data.counts
    rows = ", ".join(f"{size:,} {name}" for name, size in data.rows.items() if size)
    groups = "" if counts.groups is None else f", {counts.n_groups} groups"
    watch.say(
        f"{Path(data.source).name}: {rows} rows; {data.train.features.shape[1]:,} features, "
        f"{counts.n_classes} classes{groups}."
    )
    for note in data.notes:
        watch.say(note)
    if folds.note:
        watch.say(f"{folds.note}.")
    why = ""
    if request.objective is None:
        why = f" (the default with{'' if counts.groups is not None else 'out'} groups)"
    watch.say(f"Objective: {objective}{why}, on {_held_out(folds)}.")


def _held_out(folds: Folds) -> str:
    split = f"one split of {folds.held_out_share:.0%}"
    return split if len(folds) == 1 else f"{len(folds)} folds"


def _search_facts(result: SearchResult, settings: SearchSettings) -> dict[str, Any]:
    return {
        "folds": result.statistics["folds"],
        "evaluations": result.statistics["evaluations"],
        "status": result.status,
        "message": result.message,
        "seconds": result.statistics["seconds"],
        "held_out_loss": settings.held_out_loss,
        "sharpness": settings.sharpness_used,
        "shrinkage": settings.shrinkage,
        "start_value": result.start_value,
        "value": result.value,
    }


def _settings(request: FitRequest) -> Mapping[str, Any]:
    columns = request.columns
    return {
        "target": columns.target,
        "groups": list(columns.groups),
        "group as feature": columns.group_as_feature,
        "split column": columns.split,
        "trained on": "+".join(request.train_on),
        "left out": list(columns.drop),
        "classes left out": list(request.drop_classes),
        "empty cells": request.empty_cells,
        "held-out data": request.cv,
        "verdict": "none" if request.verdict is None else request.verdict,
        "seed": request.seed,
        **({} if request.model is None else _network_settings(request)),
    }


def _network_settings(request: FitRequest) -> dict[str, Any]:
    training = request.training
    return {
        "model": request.model,
        "epochs": training.epochs,
        "batch size": training.batch_size,
        "learning rate": training.learning_rate,
        "weight decay": training.weight_decay,
    }


def _versions() -> dict[str, str]:
    return {
        "autobalance": autobalance.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _with_origin(head: TrainedHead, objective: str, source: str, request: FitRequest) -> LossDesign:
    return head.design.with_metadata(
        name=head.name,
        objective=objective,
        source=Path(source).name,
        seed=request.seed,
        versions=_versions(),
    )
