"""The commands that fit: ``fit`` and ``demo``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autobalance.cli_options import (
    DropClasses,
    FeaturesKey,
    Jobs,
    Seed,
    TableFile,
    Verbose,
    watching,
)
from autobalance.errors import DataError
from autobalance.network_bench import TABULAR_TRAINING as _NETWORK

if TYPE_CHECKING:
    from autobalance.data.tables import Table
    from autobalance.runs.fit import FitRequest
    from autobalance.runs.folder import FinishedRun
    from autobalance.terminal import TerminalWatch

_DEMO_FOLDER = Path("autobalance-demo")


class TrainOn(StrEnum):
    """What is fitted and searched on."""

    TRAIN = "train"
    BOTH = "train+validation"


class EmptyCells(StrEnum):
    """What to do about empty cells that the objective needs."""

    ERROR = "error"
    DROP = "drop"


def fit(
    table: TableFile,
    target: Annotated[str, typer.Option(metavar="COL", help="Column of the classes.")],
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Column of the groups; repeatable. Not a feature."),
    ] = None,
    group_as_feature: Annotated[
        bool, typer.Option("--group-as-feature", help="Use the group columns as features too.")
    ] = False,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR",
            help="What should be small: error, balanced (default), group-balanced (default with "
            "groups), worst-class, worst-group, equal-opportunity, equalized-odds, or a sum such "
            "as 0.1*error+0.9*equalized-odds.",
        ),
    ] = None,
    positive_class: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Class that equal-opportunity is about."),
    ] = None,
    empty_cells: Annotated[
        EmptyCells,
        typer.Option(help="Refuse empty (class, group) cells that the objective needs, or not."),
    ] = EmptyCells.ERROR,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Leave out a column; repeatable.")
    ] = None,
    drop_class: DropClasses = None,
    split_column: Annotated[
        str | None,
        typer.Option(
            "--split-column",
            "--split",
            metavar="COL",
            help="Column of train, validation and test, or 0, 1 and 2.",
        ),
    ] = None,
    train_on: Annotated[
        TrainOn, typer.Option(help="Rows that are fitted and searched on; never the test rows.")
    ] = TrainOn.TRAIN,
    features: FeaturesKey = None,
    cv: Annotated[
        str,
        typer.Option(
            metavar="N", help="Folds that validate, or a share such as 0.2 for one split."
        ),
    ] = "5",
    parameters: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What is searched, of weight,additive,multiplicative,ridge; auto is the first two "
            "and ridge for a linear head, and the middle two for a network.",
        ),
    ] = "auto",
    dictionary: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How finely: class, cluster:C, rank:M, log-prior, the same with cell, or auto.",
        ),
    ] = "auto",
    start: Annotated[
        str, typer.Option(metavar="NAME", help="Start: a preset, a design.json, or auto.")
    ] = "auto",
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR",
            help="Limit on another objective's held-out error: 'error<=0.3'; repeatable.",
        ),
    ] = None,
    verdict: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="How to judge which loss to keep: a number of outer folds, a share of the rows to "
            "leave untouched, auto, or none to keep the designed loss.",
        ),
    ] = "auto",
    jobs: Jobs = 1,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Train a network instead of a linear head, with Algorithm 1: mlp, linear, or "
            "package.module:factory, code of your own.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of a network.")] = _NETWORK.epochs,
    batch_size: Annotated[int, typer.Option(min=1, help="Of a network.")] = _NETWORK.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Of a network: SGD with momentum, falling as a cosine.")
    ] = _NETWORK.learning_rate,
    weight_decay: Annotated[float, typer.Option(help="Of a network.")] = _NETWORK.weight_decay,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a network's fit that was interrupted.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write; by default autobalance-TABLE."),
    ] = None,
    seed: Seed = 0,
    verbose: Verbose = False,
) -> None:
    """Design a loss for TABLE, train with it, and compare it with the closed-form losses."""
    from autobalance.runs.columns import Columns
    from autobalance.runs.fit import FitRequest

    request = FitRequest(
        Columns(
            target,
            tuple(group or ()),
            split_column,
            tuple(drop or ()),
            group_as_feature,
            features,
        ),
        objective=objective,
        positive_class=positive_class,
        empty_cells=empty_cells.value,
        drop_classes=tuple(drop_class or ()),
        train_on=tuple(train_on.value.split("+")),
        cv=_folds_or_share(cv, "--cv"),
        parameters=parameters
        if parameters == "auto"
        else tuple(name.strip() for name in parameters.split(",")),
        dictionary=dictionary,
        start=start,
        constraints=tuple(constraint or ()),
        verdict=_verdict(verdict),
        jobs=jobs,
        seed=seed,
        model=model,
        training=replace(
            _NETWORK,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        ),
    )
    request.parse_objective()
    if resume and model is None:
        raise DataError(
            "only a network's fit can be resumed; leave --resume out, or name a --model"
        )
    with watching(verbose) as watch:
        watch.stage(f"Reading {table.name}")
        rows = request.columns.read_to_fit(table)
        folder = out or Path(f"autobalance-{table.name.removesuffix('.gz').rpartition('.')[0]}")
        run = _fit_into(folder, rows, request, watch, resume)
    _print_run(run, folder)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")] = _DEMO_FOLDER,
    jobs: Jobs = 1,
    verbose: Verbose = False,
) -> None:
    """Run the main job on scikit-learn's digits made long-tailed."""
    from autobalance.runs.demo import DEMO_REQUEST, demo_table

    with watching(verbose) as watch:
        run = _fit_into(out, demo_table(), replace(DEMO_REQUEST, jobs=jobs), watch)
    _print_run(run, out)


def _fit_into(
    folder: Path, table: Table, request: FitRequest, watch: TerminalWatch, resume: bool = False
) -> FinishedRun:
    """Fit and write the folder, which appears only when all of it is there.

    The checkpoints of a network lie beside it until then.
    """
    from autobalance.runs.checkpoints import RunCheckpoints
    from autobalance.runs.fit import fit_table
    from autobalance.runs.folder import METRICS_FILE
    from autobalance.storage import folder_written_at_once

    kept: AbstractContextManager[Path | None] = nullcontext()
    if request.model is not None:
        checkpoints = RunCheckpoints(folder, request, Path(table.source))
        kept = checkpoints.for_an_interruption(resume, watch)
    with kept as beside, folder_written_at_once(folder, marker=METRICS_FILE) as fresh:
        run = fit_table(table, request, watch, beside)
        run.write(fresh)
    return run


def _print_run(run: FinishedRun, folder: Path) -> None:
    """The results; the last line of the standard output is the path of the report."""
    from autobalance.runs.folder import DESIGN_FILE, REPORT_FILE
    from autobalance.terminal import print_run

    print_run(run.metrics, [folder / DESIGN_FILE, folder / REPORT_FILE])


def _folds_or_share(text: str, option: str) -> int | float:
    try:
        return int(text) if text.strip().isdecimal() else float(text)
    except ValueError:
        message = f"{option} {text!r} is no number; give a number of folds, or a share such as 0.2"
        raise DataError(message) from None


def _verdict(text: str) -> str | int | float | None:
    if text == "none":
        return None
    return text if text == "auto" else _folds_or_share(text, "--verdict")
