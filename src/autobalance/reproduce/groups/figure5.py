"""Figure 5: fronts of accuracy and fairness on Waterbirds, ours and of regularised losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from autobalance.reproduce.groups.data import WATERBIRDS
from autobalance.reproduce.groups.drawing import Front, fronts_figure
from autobalance.reproduce.groups.fronts import FRONTS, LAMBDAS, PLAIN, methods_of
from autobalance.reproduce.groups.lab import FOLDS, REPEATS
from autobalance.reproduce.groups.work import read, run_heads
from autobalance.reproduce.hypervolume import hypervolume
from autobalance.reproduce.outcome import (
    Check,
    Line,
    Outcome,
    Picture,
    Table,
    mean_and_error,
    with_error,
)
from autobalance.reproduce.request import SEEDS, Reproduction, Request
from autobalance.reproduce.runs import Row
from autobalance.runs.watch import Watch

PANELS: Mapping[str, str] = {"balanced": "Group-balanced error", "deo": "DEO"}
_OURS = "autobalance"
_DEFAULT_SEEDS = 3
FIRST_RUN = 0.1
"""The smallest λ above 0 when the figure was first run; smaller ones came after its test errors
were seen, so both are told."""


def run(request: Request, watch: Watch) -> Outcome:
    """Train everything over λ and compare the fronts."""
    keys = request.chosen(list(FRONTS))
    seeds = request.seeds or _DEFAULT_SEEDS
    methods = {key: methods_of(key) for key in keys}
    fitted = (method.key for each in methods.values() for method in each.values())
    wanted = list(dict.fromkeys([PLAIN.key, *fitted]))
    rows = run_heads(request, wanted, seeds, watch)
    data = read(request)
    by_run = {(row["method"], row["seed"]): row for row in rows}
    points = {
        key: {
            share: [by_run[method.key, seed] for seed in range(seeds)]
            for share, method in methods[key].items()
        }
        for key in keys
    }
    plain = [by_run[PLAIN.key, seed] for seed in range(seeds)]
    always = 100 * float(1 - data.counts.per_class.max() / data.counts.per_class.sum())
    volumes = {metric: _volumes(points, metric, plain, always) for metric in PANELS}
    return Outcome(
        f"figure5_{WATERBIRDS}",
        "Figure 5: fronts of accuracy and fairness on Waterbirds",
        {
            "Data": f"Waterbirds, official split, {len(data.train.y):,} training images",
            "Features": f"{data.backbone}, {data.train.features.shape[1]} numbers, fixed",
            "Model": "linear head",
            "Values of λ": ", ".join(f"{share:g}" for share in (0, *LAMBDAS)),
            "Tuned": "the ridge of every loss at every λ, for (1 − λ)·error + λ·DEO; AutoBalance "
            "searches its weights and adjustments, too",
            "Tuned on": f"{FOLDS} folds of the training part, drawn {REPEATS} times",
            "Seeds": str(seeds),
        },
        data.deviations,
        (_table(volumes, always, _at_first(points, plain, always)),),
        (_picture(points, plain),),
        tuple(_checks(volumes)),
        rows=[
            {"method": key, "lambda": share, **{k: row[k] for k in _KEPT}}
            for key, shares in points.items()
            for share, runs in shares.items()
            for row in runs
        ],
        facts={"hypervolume": {metric: dict(each) for metric, each in volumes.items()}},
    )


_KEPT = ("seed", "standard", "balanced", "deo", "worst", "seconds")
REPRODUCTION = Reproduction(
    "figure5", "fronts of accuracy and fairness", run, (WATERBIRDS,), (SEEDS, "methods")
)


_Points = Mapping[str, Mapping[float, Sequence[Row]]]


def _volumes(
    points: _Points, metric: str, plain: Sequence[Row], always: float
) -> dict[str, list[float]]:
    """Of each front, one for each seed, in squared points.

    The worst that counts is the fairness of plain cross-entropy, and the standard error of a head
    that ``always`` says the larger class.
    """
    return {
        key: [
            hypervolume(
                [(runs[seed]["standard"], runs[seed][metric]) for runs in shares.values()],
                (always, of_plain[metric]),
            )
            for seed, of_plain in enumerate(plain)
        ]
        for key, shares in points.items()
    }


def _table(
    volumes: Mapping[str, Mapping[str, Sequence[float]]], always: float, more: Sequence[str]
) -> Table:
    lines = [
        Line(
            (
                FRONTS[key],
                *(with_error(*mean_and_error(volumes[metric][key])) for metric in PANELS),
            ),
            key == _OURS,
        )
        for key in volumes["balanced"]
    ]
    return Table(
        "Hypervolume of the fronts",
        ("Front", *(f"Standard and {title}" for title in PANELS.values())),
        tuple(lines),
        (
            "In squared points, below the fairness of plain cross-entropy and a standard error of "
            f"{always:.1f}%, which is that of always saying landbird.",
            "± is the standard error over the seeds.",
            *more,
        ),
    )


class _Lead(NamedTuple):
    """By how much AutoBalance's hypervolume is above the best other front's, in one panel."""

    title: str
    mean: float
    words: str


def _leads(volumes: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[_Lead]:
    for metric, title in PANELS.items():
        means = {key: float(np.mean(each)) for key, each in volumes[metric].items()}
        if _OURS in means and len(means) > 1:
            rival = max((key for key in means if key != _OURS), key=lambda key: means[key])
            gaps = np.subtract(volumes[metric][_OURS], volumes[metric][rival]).tolist()
            words = f"{with_error(*mean_and_error(gaps), sign='+')} over {FRONTS[rival]}"
            yield _Lead(title, float(np.mean(gaps)), words)


def _checks(volumes: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Check]:
    return [
        Check(
            f"largest hypervolume of standard error and {lead.title}",
            lead.mean > 0,
            f"{lead.words}, paired by seed",
        )
        for lead in _leads(volumes)
    ]


def _at_first(points: _Points, plain: Sequence[Row], always: float) -> list[str]:
    """What the checks found when the figure was first run, without the smallest λ."""
    larger = {
        key: {share: runs for share, runs in shares.items() if share == 0 or share >= FIRST_RUN}
        for key, shares in points.items()
    }
    volumes = {metric: _volumes(larger, metric, plain, always) for metric in PANELS}
    found = [f"{lead.words} ({lead.title})" for lead in _leads(volumes)]
    if not found:
        return []
    return [f"With λ from {FIRST_RUN:g} on, as it was run first, AutoBalance: {'; '.join(found)}."]


def _picture(points: _Points, plain: Sequence[Row]) -> Picture:
    fronts = [
        Front(
            FRONTS[key],
            {
                metric: [
                    (
                        float(np.mean([row["standard"] for row in runs])),
                        float(np.mean([row[metric] for row in runs])),
                    )
                    for runs in shares.values()
                ]
                for metric in PANELS
            },
            key == _OURS,
        )
        for key, shares in points.items()
    ]
    ceilings = {metric: float(np.mean([row[metric] for row in plain])) for metric in PANELS}
    return Picture(
        "fronts",
        "Each dot is a loss at one λ, the mean over the seeds; a line joins those of a front that "
        "no other of it beats. Lower and further left is better.",
        "Two panels, standard error across and group-balanced error or DEO up, with a front for "
        "each of " + ", ".join(FRONTS[key] for key in points) + ".",
        partial(fronts_figure, fronts, PANELS, ceilings),
    )
