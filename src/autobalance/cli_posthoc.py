"""The command that corrects the scores of any trained model: ``posthoc``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autobalance.cli_options import Seed, Verbose, watching

if TYPE_CHECKING:
    from autobalance.runs.posthoc import FinishedPosthoc

_DEFAULT_FOLDER = Path("autobalance-posthoc")


class Kind(StrEnum):
    """What the scores are corrected by."""

    SCALING = "vector-scaling"
    BIAS = "bias"
    PRIOR = "prior"


def posthoc(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Logits or probabilities of rows that the model was not trained on: an .npz file "
            "with an array of them, or a table with a column for each class, such as "
            "probability[yes].",
        ),
    ],
    target: Annotated[
        str, typer.Option(metavar="COL", help="Column, or array, of the true classes.")
    ],
    group: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Column of the groups; repeatable.")
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option(
            "--split-column",
            "--split",
            metavar="COL",
            help="Column that marks the rows: validation to fit on, test to measure on. Without "
            "one every row serves both, but never by itself.",
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            metavar="EXPR",
            help="What should be small, as for fit; or calibration, for probabilities that are "
            "right for the classes as they occur.",
        ),
    ] = "balanced",
    kind: Annotated[
        Kind,
        typer.Option(
            help="A slope and a bias for each class; a bias alone; or a shift that is known from "
            "the shares of the classes, which looks at no score."
        ),
    ] = Kind.SCALING,
    by_group: Annotated[
        bool,
        typer.Option(
            "--by-group", help="Correct each group in its own way; predictions then need groups."
        ),
    ] = False,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="For --kind prior: how often the classes occur where the model is used, balanced "
            "(default) or a share for each such as yes=0.1,no=0.9.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--scores",
            metavar="NAME",
            help="Array of the scores, by default logits, or what stands before the brackets of "
            "their columns, by default probability.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="LABELS",
            help="Classes in the order of an array's columns, with commas; by default sorted.",
        ),
    ] = None,
    positive_class: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Class that equal-opportunity is about."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")] = _DEFAULT_FOLDER,
    seed: Seed = 0,
    verbose: Verbose = False,
) -> None:
    """Correct the scores of any trained model for an objective, and show what that changes."""
    from autobalance.runs.posthoc import PosthocRequest, correct
    from autobalance.runs.scores import ScoredRows
    from autobalance.storage import folder_written_at_once

    request = PosthocRequest(objective, kind.value, by_group, prior, positive_class, seed)
    _ = request.measured  # an objective that cannot be read is refused before anything is
    with watching(verbose) as watch, folder_written_at_once(out, "posthoc.json") as folder:
        watch.stage(f"Reading {scores.name}")
        rows = ScoredRows.read(
            scores,
            target,
            tuple(group or ()),
            split_column,
            name,
            None if classes is None else tuple(each.strip() for each in classes.split(",")),
        )
        finished = correct(rows, request, watch)
        finished.write(folder)
    _print(finished)
    for file in ("posthoc.json", "report.html"):
        print(out / file)


def _print(finished: FinishedPosthoc) -> None:
    """The error before and after."""
    from autobalance.report.content.posthoc import opening
    from autobalance.report.posthoc import roles_of

    said = opening(finished.metrics, roles_of(finished.metrics))
    print(f"{said['headline']}\n{said['text']}\n")
