"""Tables 1, 2 and 4: balanced errors on long-tailed images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autobalance.reproduce.images.rows import (
    AUGMENTED,
    BALANCED,
    CROSS_ENTROPY,
    HEADLINE,
    LOGIT_ADJUSTED,
    LOSS_ALONE,
    MADAO,
    METHODS,
    PDA,
    PDA_AND_LOSS,
)
from autobalance.reproduce.images.settings import RECIPES
from autobalance.reproduce.images.work import KINDS, NAMES, Job, run_rows
from autobalance.reproduce.outcome import Check, Line, Outcome, Table, mean_and_error, with_error
from autobalance.reproduce.published import published_text
from autobalance.reproduce.request import PAPER, SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import Row, by_method
from autobalance.runs.watch import Watch

DATASETS = tuple(RECIPES[PAPER])
_DUPLICATES = ("balanced-softmax",)
"""Rows that are another one by their mathematics: they are run when they are asked for."""
_DEFAULT = tuple(key for each in METHODS for key in each.names if key not in _DUPLICATES)
_TABLE2 = (
    CROSS_ENTROPY,
    BALANCED,
    *(key for each in AUGMENTED[:-1] for key in each.names),
    LOSS_ALONE,
    PDA_AND_LOSS,
    LOGIT_ADJUSTED,
)
_CLAIMS = ((PDA, MADAO), (PDA_AND_LOSS, LOSS_ALONE))
"""Of table 2: the first is ahead of the second."""


def _reproduction(
    name: str,
    about: str,
    seeds: int,
    default: Sequence[str] = _DEFAULT,
    headline: str = HEADLINE,
    claims: Sequence[tuple[str, str]] = (),
    with_policies: bool = False,
) -> Reproduction:
    def run(request: Request, watch: Watch) -> Outcome:
        dataset = request.dataset or DATASETS[0]
        job = Job.of(request, dataset, watch, with_policies)
        keys = request.chosen(list(NAMES), default)
        repeated = request.seeds or seeds
        rows = run_rows(job, keys, repeated, request.out, request.jobs, watch)
        summary = summarised(rows, headline)
        return Outcome(
            f"{name}_{dataset.replace('-', '_')}",
            f"{name[:-1].capitalize()} {name[-1]}: {about} on {job.data.title}",
            {**job.conditions, "Seeds": str(repeated)},
            job.deviations,
            (_table(name, dataset, summary, headline),),
            checks=tuple(_checks(rows, claims)),
            rows=rows,
            facts={"summary": list(summary.values())},
        )

    return Reproduction(name, about, run, DATASETS, (SEEDS, "methods", *TRAINING_OPTIONS))


def summarised(rows: Sequence[Row], first: str = HEADLINE) -> dict[str, Row]:
    """An entry for each method: means, and paired differences to the headline.

    A difference is how much larger a method's balanced error is than the headline's, in points: its
    mean over the seeds that both have, and its standard error.
    """
    grouped = by_method(rows)
    headline = grouped.get(first, {})
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
        if method != first and shared:
            gaps = [runs[seed]["balanced"] - headline[seed]["balanced"] for seed in sorted(shared)]
            entry["difference"], entry["difference_standard_error"] = mean_and_error(gaps)
        summary[method] = entry
    return summary


def _checks(rows: Sequence[Row], claims: Sequence[tuple[str, str]]) -> Iterator[Check]:
    """Whether one method is ahead of another by more than a standard error, paired by seed."""
    grouped = by_method(rows)
    for ours, theirs in claims:
        shared = sorted(grouped.get(ours, {}).keys() & grouped.get(theirs, {}).keys())
        if len(shared) < 2:
            continue
        gaps = [grouped[theirs][s]["balanced"] - grouped[ours][s]["balanced"] for s in shared]
        mean, error = mean_and_error(gaps)
        assert error is not None  # of two seeds and more
        yield Check(
            f"{NAMES[ours]} is ahead of {NAMES[theirs]} by more than a standard error",
            mean > error,
            f"{with_error(mean, error, sign='+')} points over {len(shared)} seeds",
        )


def _table(name: str, dataset: str, summary: dict[str, Row], headline: str = HEADLINE) -> Table:
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
            method == headline,
        )
        for method, entry in summary.items()
    ]
    return Table(
        "Balanced error on the test images after the last epoch, %",
        ("Loss", "Ours", "Paper", f"Minus {NAMES[headline]}", "Seconds"),
        tuple(lines),
        (
            "± is the standard error over the seeds; differences are paired by seed.",
            "Rows without a published figure are not in the paper's table.",
        ),
    )


TABLE1 = _reproduction("table1", "long-tailed images", 3)
TABLE2 = _reproduction(
    "table2",
    "augmentation policies learned with the loss",
    3,
    _TABLE2,
    PDA_AND_LOSS,
    _CLAIMS,
    with_policies=True,
)
TABLE4 = _reproduction("table4", "long-tailed images, five trials", 5)
