"""What a person sees of a job in the terminal: sentences, a progress bar and short tables.

Sentences and the bar go to the standard error stream, results to the standard output; without a
terminal there is no bar.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich import box
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from autobalance.bootstrap import Estimate
from autobalance.labels import label_text
from autobalance.report.wording import (
    OBJECTIVE_NAMES,
    capitalized,
    count,
    label_name,
    objective_name,
    percent,
    percent_interval,
    points,
    points_interval,
    readable,
)
from autobalance.runs.evaluate import RowsEvaluation
from autobalance.runs.watch import Watch

_MOST_ROWS = 30
_WIDTH_OF_FILES = 100


class TerminalWatch(Watch):
    """Prints sentences, and draws one progress bar that leaves no trace; or is quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    @contextmanager
    def running(self) -> Iterator[TerminalWatch]:
        """Show the bar while the block runs."""
        with self._progress:
            yield self

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(Text(readable(sentence)))

    def stage(self, name: str, share: float | None = None) -> None:
        """Name what is being done; with a share the bar fills up to it, without it only moves."""
        total = None if share is None else 1.0
        self._progress.update(
            self._task, description=readable(name), total=total, completed=share or 0.0
        )


@contextmanager
def plain_warnings(shown: bool = True) -> Iterator[None]:
    """Show warnings meant for users as sentences on the standard error stream, or none at all."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if shown:
            print(f"warning: {readable(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


def log_to_terminal() -> None:
    """Send what the library logs to the standard error stream."""
    logger = logging.getLogger("autobalance")
    logger.setLevel(logging.DEBUG)
    logger.handlers = [RichHandler(console=Console(stderr=True), show_path=False)]


def print_run(metrics: Mapping[str, Any], paths: Sequence[Path], augmentation: str = "") -> None:
    """Print the methods, the verdict, what augments, and where the files are, a path a line."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        title=_title(metrics),
        title_justify="left",
    )
    table.add_column("Loss", no_wrap=True)
    for heading in ("Error", "95% interval", "Minus AutoBalance"):
        table.add_column(heading, justify="right", no_wrap=True)
    for method in metrics["methods"]:
        difference = method["difference"]
        table.add_row(
            Text(f"{method['name']}{'  ← kept' if method['name'] == metrics['kept'] else ''}"),
            percent(method["value"]),
            percent_interval(method["interval"]),
            "" if difference is None else _gap(difference),
            style="bold" if method["name"] == metrics["kept"] else "",
        )
    console = results_console()
    console.print(table)
    verdict = metrics["verdict"]
    print(f"\n{readable(verdict['headline'])}\n{readable(verdict['text'])}\n")
    if augmentation:
        print(f"Augmentation: {readable(augmentation)}\n")
    for path in paths:
        print(path)


def print_evaluation(result: RowsEvaluation) -> None:
    """Print errors per class and cell, all objectives, and the figures for two classes."""
    console = results_console()
    print(f"{readable(result.source)}: {readable(result.rows)}")
    counts, errors = result.counts, result.evaluation
    if counts.groups is not None:
        cells = [(k, j) for k in range(counts.n_classes) for j in range(counts.n_groups)]
        names = [
            f"{label_name(counts.classes[k])} · {label_name(counts.groups[j])}" for k, j in cells
        ]
        console.print(
            _errors_table(
                "Class and group",
                names,
                result.examples.ravel(),
                errors.cell_errors.ravel(),
                errors.cell_intervals.reshape(-1, 2),
            )
        )
    console.print(
        _errors_table(
            "Class",
            [label_name(label) for label in counts.classes],
            result.examples.sum(axis=1),
            errors.class_errors,
            errors.class_intervals,
        )
    )
    console.print(_summary_table(result))


def _gap(difference: Mapping[str, Any]) -> str:
    return f"{points(difference['value'])} ({points_interval(difference['interval'])})"


def _errors_table(
    heading: str,
    names: Sequence[str],
    examples: np.ndarray,
    errors: np.ndarray,
    intervals: np.ndarray,
) -> Table:
    """Errors of classes or cells, the worst ones if there are many."""
    order = np.arange(len(names))
    hidden = max(0, len(names) - _MOST_ROWS)
    if hidden:
        order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[:_MOST_ROWS]
    table = Table(
        box=box.SIMPLE_HEAD,
        caption=f"The {_MOST_ROWS} worst; --out FILE.json writes all {len(names):,}."
        if hidden
        else None,
        caption_justify="left",
    )
    table.add_column(heading)
    for name in ("Examples", "Error", "95% interval"):
        table.add_column(name, justify="right")
    for i in order.tolist():
        measured = not np.isnan(errors[i])
        table.add_row(
            Text(names[i]),
            count(float(examples[i])),
            percent(float(errors[i]) if measured else None),
            percent_interval([float(end) for end in intervals[i]] if measured else None),
        )
    return table


def _summary_table(result: RowsEvaluation) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Figure")
    for name in ("Value", "95% interval"):
        table.add_column(name, justify="right")

    def add(name: str, estimate: Estimate, *, bold: bool = False) -> None:
        table.add_row(
            Text(capitalized(name)),
            percent(estimate.value),
            percent_interval(estimate.interval),
            style="bold" if bold else "",
        )

    asked = str(result.objective)
    if asked not in result.evaluation.summary:
        add(objective_name(asked), result.evaluation.objective, bold=True)
    for name, estimate in result.evaluation.summary.items():
        add(OBJECTIVE_NAMES[name], estimate, bold=name == asked)
    add("macro-F1", result.macro_f1)
    if result.ranking is not None:
        positive = result.objective.positive_class
        label = label_text(result.counts.classes[1] if positive is None else positive)
        add(f"PR-AUC of {readable(label)}", result.ranking.average_precision)
        add(
            f"recall of {readable(label)} at {percent(result.ranking.precision)} precision",
            result.ranking.recall_at_precision,
        )
    return table


def _title(metrics: Mapping[str, Any]) -> Text:
    name = capitalized(objective_name(metrics["objective"]))
    return Text(f"{name}, {metrics['basis']}", style="bold")


def results_console() -> Console:
    """Standard output, wide enough for the tables where it is a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES)
