"""The command line: it reads what was asked, calls the library, and prints.

Whatever the library refuses is printed as its one sentence on the standard error stream, with exit
code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

try:
    import typer
except ImportError:
    sys.exit("autobalance: the command line needs more packages: pip install 'autobalance[cli]'")

from autobalance.cli_embed import embed
from autobalance.cli_export import export
from autobalance.cli_fit import demo, fit
from autobalance.cli_options import (
    Data,
    DropClasses,
    FeaturesKey,
    OwnModel,
    RunFolder,
    Seed,
    Verbose,
    refuse_to_overwrite,
    watching,
)
from autobalance.cli_pages import compare, report
from autobalance.cli_posthoc import posthoc
from autobalance.cli_reproduce import reproduce
from autobalance.errors import AutoBalanceError, DataError
from autobalance.ranks import started_by_torchrun

_REFUSED = 2
_INTERRUPTED = 130

app = typer.Typer(
    name="autobalance",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Design the training loss that serves your objective on imbalanced data.",
)


class Part(StrEnum):
    """Which rows to evaluate on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from autobalance import __version__

        print(f"autobalance {__version__}")
        raise typer.Exit


app.command()(fit)
app.command()(embed)
app.command()(demo)


@app.command()
def predict(
    folder: RunFolder,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="File to write; by default standard output."),
    ] = None,
    features: FeaturesKey = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="How often the classes occur in DATA, for the probabilities: train, balanced, or "
            "a share for each class such as yes=0.1,no=0.9. By default the probabilities go with "
            "the predictions, which no prior changes.",
        ),
    ] = None,
    model: OwnModel = None,
    verbose: Verbose = False,
) -> None:
    """Predict the class of every row or image of DATA, and its probabilities, as CSV."""
    from autobalance.runs.predict import predict_rows
    from autobalance.storage import write_text_atomically

    refuse_to_overwrite(data, out)
    with watching(verbose) as watch:
        text = predict_rows(folder, data, watch, features, prior, model).to_csv(index=False)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text_atomically(out, text)
        print(out)


@app.command()
def evaluate(
    folder: RunFolder,
    data: Data,
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
    model: OwnModel = None,
    verbose: Verbose = False,
) -> None:
    """Measure errors on DATA per class and group, with bootstrap intervals."""
    import json

    from autobalance.runs.evaluate import evaluate_rows
    from autobalance.storage import write_text_atomically
    from autobalance.terminal import print_evaluation

    refuse_to_overwrite(data, out)
    with watching(verbose) as watch:
        result = evaluate_rows(
            folder,
            data,
            watch,
            target=target,
            features=features,
            drop_classes=tuple(drop_class or ()),
            part=None if part is None else part.value,
            precision=precision,
            seed=seed,
            model=model,
        )
    if out is not None:
        document = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text_atomically(out, document + "\n")
    print_evaluation(result)
    if out is not None:
        print(out)


app.command()(export)
app.command()(posthoc)
app.command()(report)
app.command()(compare)
app.command()(reproduce)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 when done, 2 when something was refused.

    Parameters
    ----------
    arguments
        Without the program's name; by default those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if started_by_torchrun() and words and words[0] != "fit":
            raise DataError(
                f"autobalance {words[0]} would do the same in every process that torchrun starts; "
                "only fit divides its work among them"
            )
        app(arguments)
    except AutoBalanceError as error:
        _stop(str(error), _REFUSED)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _stop(
            f"cannot use{where} ({error.strerror or error}); check space and permission", _REFUSED
        )
    except MemoryError:
        _stop("the memory does not suffice; use fewer rows, features or pixels", _REFUSED)
    except KeyboardInterrupt:
        _stop("interrupted; nothing was written", _INTERRUPTED)


def _stop(sentence: str, code: int) -> None:
    print(f"autobalance: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)
