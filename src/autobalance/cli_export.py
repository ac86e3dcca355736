"""The command that takes a run elsewhere: ``export``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autobalance.cli_options import (
    FeaturesKey,
    OwnModel,
    RunFolder,
    Verbose,
    refuse_to_overwrite,
    watching,
)
from autobalance.errors import DataError


def export(
    folder: RunFolder,
    onnx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.onnx",
            help="Write the model, which takes raw rows and gives label, logits and probabilities.",
        ),
    ] = None,
    loss: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Write the loss: a row of numbers for each class and group."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Write the loss's weight of each of the --rows, in order."
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="A table or images: for --weights, and to check --onnx on."
        ),
    ] = None,
    features: FeaturesKey = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="What the probabilities of --onnx refer to: train, balanced, or a share for each "
            "class such as yes=0.1,no=0.9. By default they go with the decisions.",
        ),
    ] = None,
    model: OwnModel = None,
    verbose: Verbose = False,
) -> None:
    """Write the loss of a run as a table, or its model as an ONNX file, for use elsewhere."""
    files = [file for file in (loss, weights, onnx) if file is not None]
    if not files:
        raise DataError("nothing is asked for; name a file with --onnx, --loss or --weights")
    if len({os.path.realpath(file) for file in files}) < len(files):
        raise DataError("one file is named twice; name a file of its own for each of them")
    for file in files:
        if rows is not None:
            refuse_to_overwrite(rows, file)
    if weights is not None and rows is None:
        raise DataError("--weights needs the rows that are weighed; name them with --rows")
    with watching(verbose) as watch:
        if loss is not None:
            from autobalance.export.loss_table import FORMULA, portable_as
            from autobalance.runs.export import export_loss

            design = export_loss(folder, loss)
            for sentence in (FORMULA, *portable_as(design)):
                watch.say(sentence)
        if weights is not None and rows is not None:
            from autobalance.runs.export import export_weights

            export_weights(folder, weights, rows, watch)
        found = None
        if onnx is not None:
            from autobalance.runs.export import export_model

            found = export_model(
                folder, onnx, watch, rows=rows, features=features, prior=prior, model=model
            )
    if found is not None:
        print(found)
    for file in files:
        print(file)
