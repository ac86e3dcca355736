r"""What makes the search beside a training win: one thing changed at a time.

    python -m benchmarks.search_study --dataset fashion-mnist-lt --data-dir DATA --seeds 3 \
        --jobs 2 --json results/search_study.json

It never sees a test image: the long tail comes from the first training images of each class, and
``balanced``, the error in percent after retraining on everything, is that of the last 1,000.
``gain`` is how much lower it is than logit adjustment's with the same seed: same first weights and
same order of the batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.long_tail.cases import CASES
from benchmarks.long_tail.lab import Lab
from benchmarks.long_tail.show import with_error
from benchmarks.long_tail.summary import standard_error_of
from benchmarks.long_tail.sweep import Sweep, parser, settings_of
from benchmarks.record import write_record
from benchmarks.search_study.variants import LOGIT_ADJUSTMENT, VARIANTS, run

Row = dict[str, Any]


def main() -> None:
    """Run what is not done yet, print the table and write the JSON."""
    arguments = parser((__doc__ or "").splitlines()[0]).parse_args()
    settings = settings_of(arguments, development=True)
    names = [variant.names for variant in VARIANTS]
    sweep = Sweep(arguments, settings, "variant", names, run_variant)
    rows = sweep.rows()
    summary = summarise(rows)
    title = f"{CASES[arguments.dataset].title}, development, {arguments.model}"
    show(Console(width=120), title, summary)
    write_record(
        arguments.json, "search_study", rows, title=title, settings=settings, summary=summary
    )
    sweep.remove_parts()


def run_variant(lab: Lab, position: int) -> list[Row]:
    """The rows of one variant."""
    return run(VARIANTS[position], lab)


def summarise(rows: list[Row], reference: str = LOGIT_ADJUSTMENT) -> list[Row]:
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


def show(
    console: Console, title: str, summary: list[Row], reference: str = LOGIT_ADJUSTMENT
) -> None:
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


if __name__ == "__main__":
    main()
