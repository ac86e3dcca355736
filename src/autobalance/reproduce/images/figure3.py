"""Figure 3: the clusters of classes and the split, and how l and δ move for each cluster.

The published caption says that minorities get larger l and Δ, while eq. 2.1, logit adjustment, CDT
and appendix E need them smaller; the checks here ask for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from autobalance.errors import DataError
from autobalance.reproduce.images.drawing import Course, Split, figure3
from autobalance.reproduce.images.tables import DATASETS
from autobalance.reproduce.images.work import NAMES, Job, run_rows
from autobalance.reproduce.outcome import (
    Check,
    Line,
    Outcome,
    Picture,
    Table,
    mean_and_error,
    with_error,
)
from autobalance.reproduce.request import SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import Row
from autobalance.runs.watch import Watch


class Panel(NamedTuple):
    """A search, which of its values is drawn, and what people call it."""

    method: str
    values: str
    sign: str


PANELS = (
    Panel("autobalance-delta", "multiplicative", "δ"),
    Panel("autobalance-l", "additive", "l"),
    Panel("autobalance-delta-l", "multiplicative", "δ"),
    Panel("autobalance-delta-l", "additive", "l"),
)
"""The published panels (b), (c) and (d), the last one in two parts with an axis each."""


def run(request: Request, watch: Watch) -> Outcome:
    """Search as for table 1, whose finished runs it takes, and draw the courses."""
    dataset = request.dataset or DATASETS[0]
    job, seeds = Job.of(request, dataset, watch), request.seeds or 3
    methods = list(dict.fromkeys(panel.method for panel in PANELS))
    rows = run_rows(job, methods, seeds, request.out, request.jobs, watch)
    if not all(row["course"]["steps"] for row in rows):
        raise DataError("a loss has not moved once in its search; raise --epochs")
    return Outcome(
        f"figure3_{dataset.replace('-', '_')}",
        f"Figure 3: how the loss moves on {job.data.title}",
        {**job.conditions, "Seeds": str(seeds)},
        job.deviations,
        (_table(rows),),
        (_picture(job, rows),),
        tuple(_check(panel, rows) for panel in PANELS),
        rows=[
            {"method": row["method"], "seed": row["seed"], "course": row["course"]} for row in rows
        ],
    )


REPRODUCTION = Reproduction(
    "figure3",
    "the course of l and δ",
    run,
    DATASETS,
    (SEEDS, *TRAINING_OPTIONS),
)


def _of(panel: Panel, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["method"] == panel.method]


def _ends(panel: Panel, rows: Sequence[Row]) -> list[list[float]]:
    """The last values of the clusters, most frequent first, for each seed."""
    return [row["course"][panel.values][-1] for row in _of(panel, rows)]


def _title(panel: Panel) -> str:
    return f"{panel.sign} in {NAMES[panel.method]}"


def _table(rows: Sequence[Row]) -> Table:
    sizes = rows[0]["course"]["classes"]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) + 1
    lines = []
    for place, (size, start) in enumerate(zip(sizes, first.tolist(), strict=True)):
        name = f"rank {start}" if size == 1 else f"ranks {start} to {start + size - 1}"
        ends = [[end[place] for end in _ends(panel, rows)] for panel in PANELS]
        lines.append(Line((name, *(with_error(*mean_and_error(each)) for each in ends))))
    return Table(
        "Values at the end of the search",
        ("Classes by frequency", *(_title(panel) for panel in PANELS)),
        tuple(lines),
        ("± is the standard error over the seeds.",),
    )


def _check(panel: Panel, rows: Sequence[Row]) -> Check:
    """Values must fall with the frequency: a smaller value asks for a larger logit."""
    found = [_correlation(end) for end in _ends(panel, rows)]
    return Check(
        f"{_title(panel)} is smaller for rarer classes: rank correlation with frequency above 0 "
        "for every seed",
        min(found) > 0,
        ", ".join(f"{value:+.2f}".replace("-", "−") for value in found),
    )


def _correlation(end: Sequence[float]) -> float:
    """Of values with frequency, by ranks; 0 where the search has left them alike."""
    return -float(spearmanr(range(len(end)), end).statistic) if np.ptp(end) else 0.0


def _picture(job: Job, rows: Sequence[Row]) -> Picture:
    first = [row for row in rows if row["seed"] == 0]
    courses = [
        Course(
            f"{_title(panel)}",
            f"{panel.values} {panel.sign}",
            [
                step / _of(panel, first)[0]["course"]["steps_per_epoch"]
                for step in row["course"]["steps"]
            ],
            np.array(row["course"][panel.values]),
        )
        for panel in PANELS
        for row in _of(panel, first)
    ]
    counts = np.sort(job.data.train.counts.per_class)[::-1]
    return Picture(
        "courses",
        "Images of each class and the fifth that is held out, and the values of the loss over the "
        "epochs, a line for each cluster of classes from the most frequent (dark) to the rarest "
        "(light); before the first point the network warms up.",
        "A bar chart of class sizes, and four panels of lines.",
        partial(figure3, Split(counts, job.recipe.course.plan.held_out), courses),
    )
