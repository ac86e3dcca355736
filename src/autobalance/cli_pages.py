"""The commands that make pages from finished runs: ``report`` and ``compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autobalance.cli_options import RunFolder

if TYPE_CHECKING:
    from autobalance.report import ComparedRun

_DEFAULT_PAGE = Path("autobalance-compare.html")


def report(folder: RunFolder) -> None:
    """Make the report of a run again from its metrics, design and history."""
    from autobalance.runs.report import remake_report

    print(remake_report(folder))


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR DIR...", help="Two or more folders that autobalance fit wrote."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Page to write.")] = _DEFAULT_PAGE,
) -> None:
    """Put runs side by side, in the terminal and on a page."""
    from autobalance.runs.compare import read_runs, write_comparison

    runs = read_runs(folders)
    write_comparison(runs, out)
    _print_comparison(runs)
    print(out)


def _print_comparison(runs: Sequence[ComparedRun]) -> None:
    """A row for each run, its headline, and what must not be compared."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from autobalance.report.comparability import comparability
    from autobalance.report.roles import Roles
    from autobalance.report.wording import (
        objective_name,
        percent,
        percent_interval,
        readable,
    )
    from autobalance.terminal import results_console

    names = [readable(run.name) for run in runs]
    common = comparability(names, [run.metrics for run in runs])
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    if not common.one_sample:
        table.add_column("Data")
    for heading in ("Run", "Asked for", "Kept"):
        table.add_column(heading, overflow="fold")
    for heading in ("Before", "After", "95% interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, letter, run in zip(names, common.samples, runs, strict=True):
        roles = Roles.of(run.metrics)
        table.add_row(
            *([] if common.one_sample else [letter]),
            Text(name),
            objective_name(run.metrics["objective"]),
            Text(readable(roles.kept["name"])),
            percent(roles.before["value"]),
            percent(roles.kept["value"]),
            percent_interval(roles.kept["interval"]),
        )
    results_console().print(table)
    print()
    for name, run in zip(names, runs, strict=True):
        print(f"{name}: {readable(run.metrics['verdict']['headline'])}")
    print()
    for caution in common.cautions:
        print(caution)
