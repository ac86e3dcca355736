"""The rows as tables for people, and the goals."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

CHEAPER, MEMORY = 5.0, 1.5


def goals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Much cheaper than as published and no less right, in little more memory than training."""
    reached = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        default = next(row for row in own if row["default"])
        published = next(row for row in own if row["published"])
        ratio, memory = published["cost"] / default["cost"], default["peak_memory"]
        reached[f"{network}: default {CHEAPER:g} times cheaper than published"] = {
            "met": ratio >= CHEAPER,
            "times": ratio,
        }
        reached[f"{network}: default's peak memory at most {MEMORY:g} training steps'"] = {
            "met": memory is not None and memory <= MEMORY,
            "training steps'": memory,
        }
        if "cosine" in default:
            reached[f"{network}: default's cosine no less than published"] = {
                "met": default["cosine"] >= published["cosine"],
                "default": default["cosine"],
                "published": published["cosine"],
            }
    return reached


def show(console: Console, rows: list[dict[str, Any]], reached: dict[str, Any]) -> None:
    """Print every network's rows and the goals."""
    for network in dict.fromkeys(row["network"] for row in rows):
        console.print(_table(network, [row for row in rows if row["network"] == network]))
    for goal, facts in reached.items():
        details = ", ".join(f"{key}: {value}" for key, value in facts.items() if key != "met")
        console.print(f"goal: {goal}: {'met' if facts['met'] else 'missed'} ({details})")


def _table(network: str, rows: list[dict[str, Any]]) -> Table:
    known = "cosine" in rows[0]
    table = Table(
        title=f"Hypergradients of {network}: time and peak memory in training steps"
        + (", and the cosine with the exact direction" if known else ""),
        caption="in brackets: quartiles; ±: standard deviation over draws; GN: with the "
        "Gauss–Newton reference",
    )
    for name in heading(rows):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows:
        table.add_row(*cells(row), style="bold" if row["default"] else "")
    return table


def heading(rows: list[dict[str, Any]]) -> list[str]:
    """Names of the columns of one network's rows."""
    known = ["cosine", "of mean", "GN", "GN of mean"] if "cosine" in rows[0] else []
    return ["method", "cost", "memory", *known]


def cells(row: dict[str, Any]) -> list[str]:
    """A row as text."""
    low, high = row["cost_quartiles"]
    memory = row["peak_memory"]
    text = [
        row["method"],
        f"{row['cost']:.1f} [{low:.1f}, {high:.1f}]",
        "unknown" if memory is None else f"{memory:.2f}",
    ]
    if "cosine" in row:
        for name in ("", "_gauss_newton"):
            text.append(f"{row[f'cosine{name}']:.3f} ± {row[f'cosine{name}_sd']:.3f}")
            text.append(f"{row[f'cosine_of_mean{name}']:.3f}")
    return text
