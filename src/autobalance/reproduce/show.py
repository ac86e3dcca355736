"""An outcome in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from autobalance.report.wording import capitalized
from autobalance.reproduce.outcome import Outcome, Table

_WIDTH = 150
"""Of tables that go to a file, or wherever a terminal does not say."""


def print_outcome(outcome: Outcome, paths: Sequence[Path]) -> None:
    """Print tables and checks, what the figures depend on, and where the files are."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    console.print(Text(outcome.title, style="bold"))
    for name, value in outcome.conditions.items():
        console.print(Text(f"{capitalized(name)}: {value}"))
    if outcome.deviations:
        console.print(Text("Not the paper's setting: " + "; ".join(outcome.deviations)))
    for table in outcome.tables:
        console.print()
        console.print(_rich(table))
        for note in table.notes:
            console.print(Text(note))
    if outcome.checks:
        console.print()
    for check in outcome.checks:
        console.print(Text(str(check)))
    console.print()
    for path in paths:
        print(path)


def _rich(table: Table) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(table.title, style="bold"),
        title_justify="left",
    )
    drawn.add_column(table.columns[0])
    for heading in table.columns[1:]:
        drawn.add_column(heading, justify="right")
    for line in table.lines:
        cells = [Text(cell) for cell in line.cells]
        drawn.add_row(*cells, style="bold" if line.headline else "")
    return drawn
