"""The command line: it reads what was asked, calls the library, and prints.

Whatever the library refuses is printed as its one sentence on the standard error stream, with exit
code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
except ImportError:
    sys.exit("autobalance: the command line needs more packages: pip install 'autobalance[cli]'")

from autobalance.cli_pages import RunFolder, compare, report
from autobalance.errors import AutoBalanceError, DataError

if TYPE_CHECKING:
    from autobalance.data.tables import Table
    from autobalance.runs.fit import FitRequest
    from autobalance.runs.folder import FinishedRun
    from autobalance.terminal import TerminalWatch

_REFUSED = 2
_INTERRUPTED = 130
_DEMO_FOLDER = Path("autobalance-demo")

app = typer.Typer(
    name="autobalance",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Design the training loss that serves your objective on imbalanced data.",
)


class TrainOn(StrEnum):
    """What is fitted and searched on."""

    TRAIN = "train"
    BOTH = "train+validation"


class EmptyCells(StrEnum):
    """What to do about empty cells that the objective needs."""

    ERROR = "error"
    DROP = "drop"


class Part(StrEnum):
    """Which rows to evaluate on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


TableFile = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A .csv, .csv.gz, .parquet or .npz file.")
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
Verbose = Annotated[bool, typer.Option("--verbose", help="Show what the library logs.")]


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from autobalance import __version__

        print(f"autobalance {__version__}")
        raise typer.Exit


@app.command()
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
            metavar="NAMES", help="What is searched, of weight,additive,multiplicative,ridge."
        ),
    ] = "weight,additive,ridge",
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
        parameters=tuple(name.strip() for name in parameters.split(",")),
        dictionary=dictionary,
        start=start,
        constraints=tuple(constraint or ()),
        verdict=_verdict(verdict),
        jobs=jobs,
        seed=seed,
    )
    request.parse_objective()
    with _watching(verbose) as watch:
        watch.stage(f"Reading {table.name}")
        rows = request.columns.read_to_fit(table)
        folder = out or Path(f"autobalance-{table.name.removesuffix('.gz').rpartition('.')[0]}")
        run = _fit_into(folder, rows, request, watch)
    _print_run(run, folder)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")] = _DEMO_FOLDER,
    jobs: Jobs = 1,
    verbose: Verbose = False,
) -> None:
    """Run the main job on scikit-learn's digits made long-tailed."""
    from dataclasses import replace

    from autobalance.runs.demo import DEMO_REQUEST, demo_table

    with _watching(verbose) as watch:
        run = _fit_into(out, demo_table(), replace(DEMO_REQUEST, jobs=jobs), watch)
    _print_run(run, out)


@app.command()
def predict(
    folder: RunFolder,
    table: TableFile,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="File to write; by default standard output."),
    ] = None,
    features: FeaturesKey = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="How often the classes occur in TABLE, for the probabilities: train, balanced, or "
            "a share for each class such as yes=0.1,no=0.9. By default the probabilities go with "
            "the predictions, which no prior changes.",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Predict the class of every row of TABLE, with the probability of each class, as CSV."""
    from autobalance.runs.predict import predict_table
    from autobalance.storage import write_text_atomically

    _refuse_to_overwrite(table, out)
    with _watching(verbose) as watch:
        text = predict_table(folder, table, watch, features, prior).to_csv(index=False)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text_atomically(out, text)
        print(out)


@app.command()
def evaluate(
    folder: RunFolder,
    table: TableFile,
    target: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column of the classes; by default that of the fit."),
    ] = None,
    features: FeaturesKey = None,
    drop_class: DropClasses = None,
    part: Annotated[
        Part | None,
        typer.Option(help="Rows, by the split column of the fit; by default test, if it is there."),
    ] = None,
    precision: Annotated[
        float, typer.Option(help="Precision at which recall is read off, for two classes.")
    ] = 0.9,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write all figures there too.")
    ] = None,
    seed: Seed = 0,
    verbose: Verbose = False,
) -> None:
    """Measure errors on TABLE per class and group, with bootstrap intervals."""
    import json

    from autobalance.runs.evaluate import evaluate_table
    from autobalance.storage import write_text_atomically
    from autobalance.terminal import print_evaluation

    _refuse_to_overwrite(table, out)
    with _watching(verbose) as watch:
        result = evaluate_table(
            folder,
            table,
            watch,
            target=target,
            features=features,
            drop_classes=tuple(drop_class or ()),
            part=None if part is None else part.value,
            precision=precision,
            seed=seed,
        )
    if out is not None:
        document = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text_atomically(out, document + "\n")
    print_evaluation(result)
    if out is not None:
        print(out)


app.command()(report)
app.command()(compare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 when done, 2 when something was refused.

    Parameters
    ----------
    arguments
        Without the program's name; by default those of the process.
    """
    try:
        app(arguments)
    except AutoBalanceError as error:
        _stop(str(error), _REFUSED)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _stop(
            f"cannot use{where} ({error.strerror or error}); check space and permission", _REFUSED
        )
    except MemoryError:
        _stop("the memory does not suffice; use fewer rows or features", _REFUSED)
    except KeyboardInterrupt:
        _stop("interrupted; nothing was written", _INTERRUPTED)


def _stop(sentence: str, code: int) -> None:
    print(f"autobalance: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)


@contextmanager
def _watching(verbose: bool) -> Iterator[TerminalWatch]:
    """A progress bar, plain warnings, and the log if asked for."""
    from autobalance.terminal import TerminalWatch, log_to_terminal, plain_warnings

    if verbose:
        log_to_terminal()
    with plain_warnings(), TerminalWatch().running() as watch:
        yield watch


def _fit_into(folder: Path, table: Table, request: FitRequest, watch: TerminalWatch) -> FinishedRun:
    """Fit and write the folder, which appears only when all of it is there."""
    from autobalance.runs.fit import fit_table
    from autobalance.runs.folder import METRICS_FILE
    from autobalance.storage import folder_written_at_once

    with folder_written_at_once(folder, marker=METRICS_FILE) as fresh:
        run = fit_table(table, request, watch)
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


def _refuse_to_overwrite(table: Path, out: Path | None) -> None:
    if out is not None and out.exists() and table.exists() and out.samefile(table):
        raise DataError(f"{out} is the table itself; name another file to write")
