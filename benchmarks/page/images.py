"""Sections on long-tailed images."""

from __future__ import annotations

from benchmarks.long_tail.methods import GRID
from benchmarks.long_tail.show import difference, reached, with_error
from benchmarks.page.markdown import Record, bold, table

_OF_THE_GRID = (
    ' "Emphasis by grid" is a grid over\n'
    "the line that the headline searches, and no rival of the goals."
)


def long_tail(record: Record) -> str:
    """Every loss on one data set."""
    rows = []
    for entry in record["summary"]:
        cells = [
            entry["method"],
            str(entry["seeds"]),
            with_error(entry["balanced"], entry["standard_error"]),
            difference(entry),
            f"{entry['seconds']:.0f}",
        ]
        rows.append(bold(cells) if entry["headline"] else cells)
    goals = "\n".join(
        f"- {goal}: {'met' if facts['met'] else 'missed'} ({reached(facts)})."
        for goal, facts in record["goals"].items()
    )
    grid = any(entry["kind"] == GRID for entry in record["summary"])
    settings = record["settings"]
    columns = ("loss", "seeds", "balanced test error, %", "difference", "seconds")
    return f"""## {record["title"]}, {settings["epochs"]} epochs

The training images thinned to a tail of ratio {settings["ratio"]:g}, `{settings["model"]}`,
{settings["epochs"]} epochs, all methods on the same terms: the error on the test images after the
last epoch, ± its standard error over the seeds; the difference to the headline (bold), paired by
seed; and the median seconds with all that is tuned or searched.{_OF_THE_GRID if grid else ""}

{table(columns, rows)}

{goals}"""


def search_study(record: Record) -> str:
    """One thing changed at a time."""
    rows = [
        [
            entry["question"],
            entry["variant"],
            entry["seeds"],
            f"{entry['balanced']:.2f}",
            ""
            if entry["gain"] is None
            else with_error(entry["gain"], entry["standard_error"], "+"),
            f"{entry['search_seconds']:.0f}",
        ]
        for entry in record["summary"]
    ]
    columns = ("question", "variant", "seeds", "balanced error, %", "gain", "seconds of search")
    return f"""## What was tried: {record["title"]}, {record["settings"]["epochs"]} epochs

Searches beside a training, one thing changed at a time; training images only, in the tail as in the
part that is scored. The error after retraining with what was found, and its gain on logit
adjustment, paired by seed, ± its standard error.

{table(columns, rows, texts=2)}"""
