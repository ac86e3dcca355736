"""The summary as a table for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]


def show(console: Console, title: str, summary: list[Row], goals: dict[str, Row]) -> None:
    """Print the methods, best first, and the goals."""
    table = Table(
        title=title,
        caption="± : standard error over the seeds; difference to the headline, paired by seed",
    )
    table.add_column("method")
    for name in ("seeds", "balanced error, %", "difference", "seconds"):
        table.add_column(name, justify="right")
    for entry in summary:
        table.add_row(
            entry["method"],
            str(entry["seeds"]),
            with_error(entry["balanced"], entry["standard_error"]),
            difference(entry),
            f"{entry['seconds']:.0f}",
            style="bold" if entry["headline"] else "",
        )
    console.print(table)
    for goal, facts in goals.items():
        console.print(f"goal: {goal}: {'met' if facts['met'] else 'missed'} ({reached(facts)})")


def with_error(value: float, error: float | None, sign: str = "") -> str:
    """A mean and its standard error, as far as there is one."""
    return f"{value:{sign}.2f}" + ("" if error is None else f" ± {error:.2f}")


def difference(entry: Row) -> str:
    """To the headline, which has none to itself."""
    if entry["headline"] or entry["difference"] is None:
        return ""
    return with_error(entry["difference"], entry["difference_standard_error"], "+")


def reached(facts: Row) -> str:
    """How far the headline is ahead, and of which method."""
    return f"{with_error(facts['lead'], facts['standard_error'], '+')} over {facts['over']}"
