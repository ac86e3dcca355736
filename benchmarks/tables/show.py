"""The summary as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(
    console: Console,
    cases: list[dict[str, Any]],
    ranks: list[dict[str, Any]],
    goals: dict[str, Any],
) -> None:
    """Print every case, the mean ranks and the goals."""
    for case in cases:
        console.print(_case_table(case))
    console.print(_rank_table(ranks))
    for goal, facts in goals.items():
        details = ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "met")
        console.print(f"goal: {goal}: {'met' if facts['met'] else 'missed'} ({details})")


def _case_table(case: dict[str, Any]) -> Table:
    table = Table(
        title=f"{case['table']} by {case['grouping']}: {case['objective']} error in %, "
        f"{case['basis']}, {case['seeds']} seeds",
        caption="± : standard deviation over the seeds; difference to the headline, paired, ± its "
        "standard error",
    )
    table.add_column("method")
    for name in ("value", "balanced", "difference", "rank", "seconds"):
        table.add_column(name, justify="right")
    for entry in sorted(case["methods"], key=lambda entry: entry["value"]):
        table.add_row(
            entry["method"],
            f"{entry['value']:.2f} ± {entry['sd']:.2f}",
            f"{entry['balanced']:.2f}",
            ""
            if entry["headline"]
            else f"{entry['difference']:+.2f} ± {entry['standard_error']:.2f}",
            f"{entry['rank']:g}" if entry["ranked"] else "unranked",
            f"{entry['seconds']:.1f}",
            style="bold" if entry["headline"] else "" if entry["ranked"] else "dim",
        )
    return table


def _rank_table(ranks: list[dict[str, Any]]) -> Table:
    table = Table(
        title="Mean ranks",
        caption="lead: by how much the headline's rank is better, over the cases both take part in",
    )
    table.add_column("method")
    for name in ("cases", "mean rank", "lead"):
        table.add_column(name, justify="right")
    for entry in ranks:
        table.add_row(
            entry["method"],
            str(entry["cases"]),
            f"{entry['mean_rank']:.2f}",
            f"{entry['lead']:+.2f}",
        )
    return table
