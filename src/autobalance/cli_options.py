"""What the commands of the command line share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autobalance.errors import DataError
from autobalance.ranks import current_ranks

if TYPE_CHECKING:
    from autobalance.terminal import TerminalWatch

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A table (.csv, .csv.gz, .parquet or .npz), or images: a folder with a folder for "
        "each class or with metadata.csv, MNIST's IDX files, or .parquet with an image column.",
    ),
]
FeaturesKey = Annotated[
    str | None,
    typer.Option("--features", metavar="KEY", help="Feature array of an .npz file."),
]
DropClasses = Annotated[
    list[str] | None,
    typer.Option("--drop-class", metavar="LABEL", help="Leave out a class; repeatable."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Seed of the folds and of the bootstrap.")
]
Jobs = Annotated[int, typer.Option(help="Outer parts judged at once; -1 for one on each core.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Use all workers of a Dask cluster instead, by its scheduler, such as "
        "tcp://host:8786.",
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PATH",
        help="package.module:factory, if the fit named one: code is run on your word only.",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="WHERE",
        help="Follow the fit elsewhere too: tensorboard:DIR, mlflow:URI or csv:DIR; repeatable.",
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder that autobalance fit wrote.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show what the library logs.")]


@contextmanager
def watching(verbose: bool) -> Iterator[TerminalWatch]:
    """A progress bar, plain warnings, and the log if asked for; of several ranks on the first."""
    from autobalance.terminal import TerminalWatch, log_to_terminal, plain_warnings

    first = current_ranks().first
    if verbose and first:
        log_to_terminal()
    with plain_warnings(first), TerminalWatch(quiet=not first).running() as watch:
        yield watch


def refuse_to_overwrite(data: Path, out: Path | None) -> None:
    """Refuse to write a file over the data that it comes from.

    Raises
    ------
    DataError
        If it would be.
    """
    if out is not None and out.exists() and data.exists() and out.samefile(data):
        raise DataError(f"{out} holds the data themselves; name another file to write")
