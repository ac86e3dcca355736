"""The commands that fit: ``fit`` and ``demo``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autobalance.cli_options import (
    Cluster,
    Data,
    DropClasses,
    FeaturesKey,
    Jobs,
    Seed,
    Track,
    Verbose,
    watching,
)
from autobalance.errors import DataError
from autobalance.network_settings import IMAGE_TRAINING, TABULAR_TRAINING
from autobalance.ranks import across_ranks, current_ranks
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns

if TYPE_CHECKING:
    from autobalance.runs.folder import FinishedRun
    from autobalance.runs.request import FitRequest
    from autobalance.runs.rows import Rows
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
    data: Data,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column of the classes; images need none if folders or a column such as label "
            "name them.",
        ),
    ] = None,
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
            "as 0.1*error+0.9*equalized-odds; or cost (default with --costs).",
        ),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="What decisions cost: the header names the classes decided for, the first column "
            "the true ones.",
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
            help="What is searched, of weight,emphasis,additive,multiplicative,ridge; auto is "
            "weight,additive,ridge for a linear head; for a network it is emphasis for the "
            "balanced error, and else additive,multiplicative. An --augmentation adds its own, "
            "probability,magnitude.",
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
            "leave untouched, auto, or none to keep the designed loss. It repeats the whole fit on "
            "every part; for images auto is therefore an untouched quarter at most, and none "
            "where that is too few to judge by.",
        ),
    ] = "auto",
    jobs: Jobs = 1,
    cluster: Cluster = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Train a network instead of a linear head, with Algorithm 1: mlp or linear on "
            "features; resnet20, resnet32, small-cnn and others on images, which need one; or "
            "package.module:factory, code of your own.",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Resize all images to N × N; needed if their sizes differ."
        ),
    ] = None,
    augment: Annotated[
        bool,
        typer.Option(
            help="Crop images at random in training, by up to an eighth of their size, and flip "
            "them left to right unless they are grey."
        ),
    ] = True,
    augmentation: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Search an augmentation policy of rotations, colours and more beside the loss: "
            "one for all, personal for a policy of each class that follows its frequency, or a "
            "dictionary, such as cluster:10, for a policy of each cluster; for a linear head ball, "
            "which moves examples within a ball of a radius for each class; none for no policy.",
        ),
    ] = "none",
    epochs: Annotated[int, typer.Option(min=1, help="Of a network.")] = TABULAR_TRAINING.epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Of a network.")
    ] = TABULAR_TRAINING.batch_size,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Of a network: SGD with momentum, falling as a cosine; by default "
            f"{TABULAR_TRAINING.learning_rate} on features and {IMAGE_TRAINING.learning_rate} on "
            "images, after an epoch of warm-up.",
        ),
    ] = None,
    weight_decay: Annotated[
        float, typer.Option(help="Of a network.")
    ] = TABULAR_TRAINING.weight_decay,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a network's fit that was interrupted.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write; by default autobalance-DATA."),
    ] = None,
    track: Track = None,
    seed: Seed = 0,
    verbose: Verbose = False,
) -> None:
    """Design a loss for DATA, train with it, and compare it with the closed-form losses."""
    from autobalance.costs import Costs
    from autobalance.data.images.read import holds_images
    from autobalance.jobs import on_cluster
    from autobalance.runs.request import FitRequest

    of_images = holds_images(data)
    groups = tuple(group or ())
    columns: Columns | ImageColumns
    if of_images:
        for_tables = {
            "--features": features,
            "--drop": drop,
            "--group-as-feature": group_as_feature,
        }
        _refuse_given(for_tables, f"{data} holds images, whose pixels are all that is looked at")
        columns = ImageColumns(target, groups, split_column, image_size)
    else:
        for_images = {
            "--image-size": image_size,
            "--no-augment": not augment,
            f"--augmentation {augmentation}": augmentation not in ("none", "ball"),
        }
        _refuse_given(for_images, f"{data} holds no images")
        columns = _table_columns(target, groups, split_column, drop, group_as_feature, features)
    training = IMAGE_TRAINING if of_images else TABULAR_TRAINING
    request = FitRequest(
        columns,
        objective=objective,
        positive_class=positive_class,
        costs=None if costs is None else Costs.load(costs),
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
        seed=seed,
        model=model,
        training=replace(
            training,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=training.learning_rate if learning_rate is None else learning_rate,
            weight_decay=weight_decay,
        ),
        augment=augment,
        augmentation=None if augmentation == "none" else augmentation,
    )
    request.parse_objective()
    if resume and model is None:
        raise DataError(
            "only a network's fit can be resumed; leave --resume out, or name a --model"
        )
    folder = out or Path(f"autobalance-{_stem(data)}")
    with across_ranks() as ranks:
        with watching(verbose) as watch, on_cluster(cluster, jobs) as at_once:
            request = replace(request, jobs=at_once)
            watch.stage(f"Reading {data.name}")
            run = _fit_into(
                folder, request.columns.read_to_fit(data), request, watch, resume, track or ()
            )
        if ranks.first:
            _print_run(run, folder)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")] = _DEMO_FOLDER,
    jobs: Jobs = 1,
    verbose: Verbose = False,
) -> None:
    """Run the main job on scikit-learn's digits made long-tailed."""
    from autobalance.runs.demo import DEMO_REQUEST, demo_rows

    with watching(verbose) as watch:
        run = _fit_into(out, demo_rows(), replace(DEMO_REQUEST, jobs=jobs), watch)
    _print_run(run, out)


def _fit_into(
    folder: Path,
    rows: Rows,
    request: FitRequest,
    watch: TerminalWatch,
    resume: bool = False,
    track: Sequence[str] = (),
) -> FinishedRun:
    """Fit and write the folder, which appears only when all of it is there.

    The checkpoints of a network lie beside it until then, with what trackers have been told.
    Of several ranks the first writes and tells.
    """
    from autobalance.runs.checkpoints import COURSE, RunCheckpoints
    from autobalance.runs.fit import fit_rows
    from autobalance.runs.folder import DESIGN_FILE, METRICS_FILE, REPORT_FILE
    from autobalance.storage import folder_written_at_once
    from autobalance.tracking.course import Course
    from autobalance.tracking.named import open_tracker

    kept: AbstractContextManager[Path | None] = nullcontext()
    interrupted = None
    if request.model is not None:
        checkpoints = RunCheckpoints(folder, request, Path(rows.source))
        kept, interrupted = checkpoints.for_an_interruption(resume, watch), checkpoints.folder
    handed_over = [rows]  # no name holds them, so the fit can let them go when they are encoded
    del rows
    if not current_ranks().first:
        return fit_rows(handed_over.pop(), request, watch, interrupted)
    with kept as beside:
        trackers = [open_tracker(text, os.path.realpath(folder), resume) for text in track]
        with Course(trackers, beside and beside / COURSE) as course:
            with folder_written_at_once(folder, marker=METRICS_FILE) as fresh:
                run = fit_rows(handed_over.pop(), request, watch, beside, course)
                run.write(fresh)
            for name in (DESIGN_FILE, REPORT_FILE):
                course.artifact(folder / name)
    return run


def _print_run(run: FinishedRun, folder: Path) -> None:
    """The results; the last line of the standard output is the path of the report."""
    from autobalance.augmentation.wording import summary
    from autobalance.runs.folder import DESIGN_FILE, REPORT_FILE
    from autobalance.terminal import print_run

    kept = run.design
    augmentation = "" if kept.policy is None else summary(kept.policy, kept.counts)
    print_run(run.metrics, [folder / DESIGN_FILE, folder / REPORT_FILE], augmentation)


def _table_columns(
    target: str | None,
    groups: tuple[str, ...],
    split: str | None,
    drop: list[str] | None,
    group_as_feature: bool,
    features: str | None,
) -> Columns:
    if target is None:
        raise DataError("a table has many columns: name the one of the classes with --target")
    return Columns(target, groups, split, tuple(drop or ()), group_as_feature, features)


def _refuse_given(options: Mapping[str, object], why: str) -> None:
    """Refuse what was given although it means nothing for the data."""
    for name, value in options.items():
        if value:
            raise DataError(f"{why}: leave {name} out")


def _stem(data: Path) -> str:
    """A file's name without its suffix, or a folder's name."""
    name = os.path.basename(os.path.realpath(data))
    return name if data.is_dir() else name.removesuffix(".gz").rpartition(".")[0]


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
