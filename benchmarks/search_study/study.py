"""A sweep over variants on training images: run, summed up, shown and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.long_tail.cases import CASES
from benchmarks.long_tail.show import with_error
from benchmarks.long_tail.summary import standard_error_of
from benchmarks.long_tail.sweep import Run, Sweep, parser, settings_of
from benchmarks.record import write_record
from benchmarks.search_study.variants import Variant

Row = dict[str, Any]


def study(
    benchmark: str,
    about: str,
    variants: Sequence[Variant],
    run: Run,
    summarised: Callable[[list[Row]], list[Row]],
    reference: str,
) -> None:
    """Run what is not done yet, print the table and write the JSON.

    Parameters
    ----------
    benchmark
        Its module, in the record's command.
    about
        For ``--help``.
    variants
        What is compared.
    run
        From a lab and the place of a variant to its rows; the processes that run it import it.
    summarised
        From all rows to those of the table.
    reference
        What gains are on, in the table's caption.
    """
    arguments = parser(about).parse_args()
    settings = settings_of(arguments, development=True)
    names = [variant.names for variant in variants]
    sweep = Sweep(arguments, settings, "variant", names, run)
    rows = sweep.rows()
    summary = summarised(rows)
    title = f"{CASES[arguments.dataset].title}, development, {arguments.model}"
    show(Console(width=120), title, summary, reference)
    write_record(arguments.json, benchmark, rows, title=title, settings=settings, summary=summary)
    sweep.remove_parts()


def summarise(rows: list[Row], reference: str) -> list[Row]:
    """Means over the seeds, and gains on the reference paired by seed, in the rows' order."""
    paired = {row["seed"]: row["balanced"] for row in rows if row["variant"] == reference}
    entries = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        gains = [paired[row["seed"]] - row["balanced"] for row in own if row["seed"] in paired]
        entries.append(
            {
                "question": own[0]["question"],
                "variant": name,
                "seeds": len(own),
                "balanced": float(np.mean([row["balanced"] for row in own])),
                "gain": float(np.mean(gains)) if gains else None,
                "standard_error": standard_error_of(gains),
                "search_seconds": float(np.median([row["search_seconds"] for row in own])),
            }
        )
    return entries


def show(console: Console, title: str, summary: list[Row], reference: str) -> None:
    """Print a table."""
    caption = f"gain: on {reference}, paired by seed, ± standard error"
    table = Table(title=title, caption=caption)
    for name in ("question", "variant"):
        table.add_column(name)
    for name in ("seeds", "balanced error, %", "gain"):
        table.add_column(name, justify="right")
    for entry in summary:
        gain = entry["gain"]
        table.add_row(
            entry["question"],
            entry["variant"],
            str(entry["seeds"]),
            f"{entry['balanced']:.2f}",
            "" if gain is None else with_error(gain, entry["standard_error"], "+"),
        )
    console.print(table)
