"""Tables 1 and 4: balanced errors on long-tailed images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autobalance.reproduce.images.rows import HEADLINE
from autobalance.reproduce.images.settings import RECIPES
from autobalance.reproduce.images.work import KINDS, NAMES, Job, run_rows
from autobalance.reproduce.outcome import Line, Outcome, Table, mean_and_error, with_error
from autobalance.reproduce.published import published_text
from autobalance.reproduce.request import PAPER, SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import Row, by_method
from autobalance.runs.watch import Watch

DATASETS = tuple(RECIPES[PAPER])
_DUPLICATES = ("balanced-softmax",)
"""Rows that are another one by their mathematics: they are run when they are asked for."""
_DEFAULT = tuple(key for key in NAMES if key not in _DUPLICATES)


def _reproduction(name: str, about: str, seeds: int) -> Reproduction:
    def run(request: Request, watch: Watch) -> Outcome:
        dataset = request.dataset or DATASETS[0]
        job = Job.of(request, dataset, watch)
        keys = request.chosen(list(NAMES), _DEFAULT)
        repeated = request.seeds or seeds
        rows = run_rows(job, keys, repeated, request.out, request.jobs, watch)
        summary = summarised(rows)
        return Outcome(
            f"{name}_{dataset.replace('-', '_')}",
            f"{name[:-1].capitalize()} {name[-1]}: {about} on {job.data.title}",
            {**job.conditions, "Seeds": str(repeated)},
            job.deviations,
            (_table(name, dataset, summary),),
            rows=rows,
            facts={"summary": list(summary.values())},
        )

    return Reproduction(name, about, run, DATASETS, (SEEDS, "methods", *TRAINING_OPTIONS))


def summarised(rows: Sequence[Row]) -> dict[str, Row]:
    """An entry for each method: means, and paired differences to the headline.

    A difference is how much larger a method's balanced error is than the headline's, in points: its
    mean over the seeds that both have, and its standard error.
    """
    grouped = by_method(rows)
    headline = grouped.get(HEADLINE, {})
    summary = {}
    for method, runs in grouped.items():
        balanced, error = mean_and_error([run["balanced"] for run in runs.values()])
        entry: dict[str, Any] = {
            "method": method,
            "kind": KINDS[method],
            "seeds": len(runs),
            "balanced": balanced,
            "standard_error": error,
            "seconds": float(np.median([run["seconds"] for run in runs.values()])),
        }
        shared = runs.keys() & headline.keys()
        if method != HEADLINE and shared:
            gaps = [runs[seed]["balanced"] - headline[seed]["balanced"] for seed in sorted(shared)]
            entry["difference"], entry["difference_standard_error"] = mean_and_error(gaps)
        summary[method] = entry
    return summary


def _table(name: str, dataset: str, summary: dict[str, Row]) -> Table:
    lines = [
        Line(
            (
                NAMES[method],
                with_error(entry["balanced"], entry["standard_error"]),
                published_text(name, method, dataset),
                with_error(entry["difference"], entry["difference_standard_error"], sign="+")
                if "difference" in entry
                else "",
                f"{entry['seconds']:.0f}",
            ),
            method == HEADLINE,
        )
        for method, entry in summary.items()
    ]
    return Table(
        "Balanced error on the test images after the last epoch, %",
        ("Loss", "Ours", "Paper", f"Minus {NAMES[HEADLINE]}", "Seconds"),
        tuple(lines),
        (
            "± is the standard error over the seeds; differences are paired by seed.",
            "Rows without a published figure are not in the paper's table.",
        ),
    )


TABLE1 = _reproduction("table1", "long-tailed images", 3)
TABLE4 = _reproduction("table4", "long-tailed images, five trials", 5)
