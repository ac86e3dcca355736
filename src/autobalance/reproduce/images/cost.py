"""Section B.1: error against cost, for AutoBalance and for optimisers whose trials are trainings.

An optimiser tunes the values that AutoBalance searches, from the same start and on the same split:
a trial is a whole training on the split's part. Whenever a trial is the best yet, a network is
trained on everything with its loss, as AutoBalance does in the end, and scored; of these trainings
one counts, the last. Costs are in ordinary trainings on everything, measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from autobalance.design import LossDesign
from autobalance.errors import SearchError
from autobalance.reproduce.images.drawing import Curve, cost_figure
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import Designed, values
from autobalance.reproduce.images.rows import DEFAULT, HEADLINE
from autobalance.reproduce.images.settings import CIFAR10_LT
from autobalance.reproduce.images.tables import DATASETS
from autobalance.reproduce.images.work import BY_KEY, NAMES, Job, scored
from autobalance.reproduce.optimisers import gaussian_process, tree_parzen
from autobalance.reproduce.outcome import (
    Check,
    Line,
    Outcome,
    Picture,
    Table,
    mean_and_error,
    with_error,
)
from autobalance.reproduce.published import published_cost
from autobalance.reproduce.request import SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import Row, Unit, finish, units_of
from autobalance.runs.watch import Watch
from autobalance.space import RIDGE_FLOOR, SearchSpace

BUDGET = 10.0
"""Ordinary trainings that an optimiser gets."""
GOAL = 2.5
"""Ordinary trainings that AutoBalance may take."""
OPTIMISERS = {"tpe": ("Optuna TPE", tree_parzen), "smac": ("SMAC3", gaussian_process)}
REACH = {"emphasis": 1.0, "additive": 2.0, "multiplicative": 0.5}
"""How far from the start an optimiser may go with each searched value: from weights to their
reverse; a factor of 7 of the odds; a factor of 1.6 of a logit."""
SPACES = (DEFAULT, HEADLINE)
"""The searches whose values the optimisers tune."""


def keys() -> list[str]:
    """Of all runs: AutoBalance and each optimiser in each space."""
    return [f"{who}-{space}" for space in SPACES for who in ("autobalance", *OPTIMISERS)]


@dataclass(frozen=True)
class Optimisations:
    """Does one search or optimisation, and scores every network it would have ended with."""

    job: Job

    def __call__(self, unit: Unit) -> dict[str, Row]:
        """The row: costs and errors of what there is to show for them."""
        (key,) = unit.methods
        who, _, space = key.partition("-")
        method = BY_KEY[space]
        assert isinstance(method, Designed)
        run = _search if who == "autobalance" else partial(_optimise, OPTIMISERS[who][1])
        row = run(self.job, method, unit.seed)
        return {key: {**row, "told": f"{row['error'][-1]:.2f}% at {row['cost'][-1]:.1f} trainings"}}


def _search(job: Job, method: Designed, seed: int) -> Row:
    """AutoBalance: one search, one training."""
    lab = job.lab(seed)
    started = time.perf_counter()
    design = method.design(lab, method.search(lab))
    searched = time.perf_counter() - started
    model = lab.train(design)
    ordinary = time.perf_counter() - started - searched
    result = scored(job.data.test, lab.network(model))
    return {
        "cost": [searched / ordinary + 1.0],
        "error": [result["balanced"]],
        "ordinary_seconds": ordinary,
        "design": values(design),
    }


def _optimise(make: Callable[..., Any], job: Job, method: Designed, seed: int) -> Row:
    """As many trials as the budget is for; whenever one is the best yet, its loss is trained with.

    A trial costs the share of the images that it trains on, so their number does not depend on how
    busy the machine is; what they cost is measured, the median of the trials over that of the
    ordinary trainings.
    """
    lab = job.lab(seed)
    held_out = lab.recipe.course.plan.held_out
    start = replace(method.first(lab), ridge=RIDGE_FLOOR)
    space = SearchSpace.build(
        start,
        method.parameters,
        method.dictionary or lab.recipe.dictionary,
        held_out_share=held_out,
    )
    bounds = [
        (-REACH[name], REACH[name])
        for name, each in space.dictionaries.items()
        for _ in range(each.size)
    ]
    number = int((BUDGET - 1) / (1 - held_out))
    ordinary, trials, asked = [], [], 0.0
    improved, error, tried = [], [], []
    best, design = np.inf, start
    with make(bounds, number, seed) as optimiser:
        for trial in range(1, number + 1):
            begun = time.perf_counter()
            candidate = space.design(optimiser.ask())
            asked += time.perf_counter() - begun
            begun = time.perf_counter()
            value = _worth(lab, candidate)
            trials.append(time.perf_counter() - begun)
            optimiser.tell(value)
            tried.append(value)
            if value < best:
                begun = time.perf_counter()
                model = lab.train(candidate)
                ordinary.append(time.perf_counter() - begun)
                improved.append(trial)
                error.append(scored(job.data.test, lab.network(model))["balanced"])
                best, design = value, candidate
    of_a_trial = float(np.median(trials) / np.median(ordinary))
    return {
        "cost": [trial * of_a_trial + 1 for trial in improved],
        "error": error,
        "budget": number * of_a_trial + 1,
        "held_out": tried,
        "ordinary_seconds": float(np.median(ordinary)),
        "seconds_to_ask": asked,
        "design": values(design),
    }


def _worth(lab: ImageLab, design: LossDesign) -> float:
    """The held-out risk of a network trained with a loss: 1, the largest, where training fails."""
    try:
        model = lab.train(design, lab.parts[0])
    except SearchError:
        return 1.0
    return float(lab.held_out_risk()(lab.held_out_logits(model)).total)


def run(request: Request, watch: Watch) -> Outcome:
    """Search and optimise in each space."""
    dataset = request.dataset or DATASETS[0]
    job, seeds = Job.of(request, dataset, watch), request.seeds or 3
    every = request.chosen(keys())
    kept = job.kept(request.out, "cost")
    units = units_of([(key,) for key in every], seeds)
    rows = finish(units, kept, Optimisations(job), request.jobs, watch)
    by_key = {key: [row for row in rows if row["method"] == key] for key in every}
    return Outcome(
        f"cost_{dataset.replace('-', '_')}",
        f"Cost: error and ordinary trainings on {job.data.title}",
        {
            **job.conditions,
            "Optimisers": f"{BUDGET:g} ordinary trainings each",
            "Seeds": str(seeds),
        },
        job.deviations,
        (_table(by_key), _published()),
        (_picture(by_key, job.data.title),),
        tuple(_checks(by_key)),
        rows=rows,
    )


REPRODUCTION = Reproduction(
    "cost",
    "error against cost, with Optuna and SMAC3",
    run,
    DATASETS,
    (SEEDS, "methods", *TRAINING_OPTIONS),
)


def _name(key: str) -> str:
    who, _, space = key.partition("-")
    return NAMES[space] if who == "autobalance" else f"{OPTIMISERS[who][0]}, same values"


def _table(by_key: Mapping[str, Sequence[Row]]) -> Table:
    lines = []
    for key, rows in by_key.items():
        last = with_error(*mean_and_error([row["error"][-1] for row in rows]))
        cost = with_error(*mean_and_error([row.get("budget", row["cost"][-1]) for row in rows]))
        own = f"{np.mean([row['seconds_to_ask'] for row in rows]):.0f}" if _asks(rows) else ""
        ours = key.startswith("autobalance")
        lines.append(Line((_name(key), cost, last, own), ours))
    return Table(
        "What an error costs",
        ("Search", "Ordinary trainings", "Balanced test error, %", "Own seconds"),
        tuple(lines),
        (
            "± is the standard error over the seeds. An optimiser ends with its best trial "
            "by the held-out images; the seconds in which it chooses what to try are not in its "
            "trainings.",
        ),
    )


def _asks(rows: Sequence[Row]) -> bool:
    return all("seconds_to_ask" in row for row in rows)


def _published() -> Table:
    lines = []
    for who, name in (("autobalance", "AutoBalance: Δ & l"), ("smac", "SMAC")):
        found = published_cost(who)
        low, high = found["trainings"]
        lines.append(Line((name, f"{low} to {high}", f"{found[CIFAR10_LT]:.2f}")))
    return Table(
        "Published, section B.1, on CIFAR10-LT with a ResNet-32",
        ("Search", "Ordinary trainings", "Balanced test error, %"),
        tuple(lines),
    )


def _checks(by_key: Mapping[str, Sequence[Row]]) -> list[Check]:
    found = []
    for space in SPACES:
        ours = by_key.get(f"autobalance-{space}")
        if not ours:
            continue
        cost = mean_and_error([row["cost"][-1] for row in ours])
        found.append(
            Check(
                f"{NAMES[space]} takes at most {GOAL:g} ordinary trainings",
                cost[0] <= GOAL,
                with_error(*cost),
            )
        )
        for who, (name, _) in OPTIMISERS.items():
            theirs = by_key.get(f"{who}-{space}")
            if theirs:
                gap = mean_and_error(
                    [t["error"][-1] - o["error"][-1] for t, o in zip(theirs, ours, strict=True)]
                )
                found.append(
                    Check(
                        f"{name} does not reach the error of {NAMES[space]} within {BUDGET:g}",
                        gap[0] > 0,
                        f"{with_error(*gap, sign='+')} points, paired by seed",
                    )
                )
    return found


def _picture(by_key: Mapping[str, Sequence[Row]], title: str) -> Picture:
    styles = {"autobalance": ("accent", "o"), "tpe": ("before", "s"), "smac": ("other", "D")}
    panels = {
        NAMES[space]: [
            Curve(
                "AutoBalance" if who == "autobalance" else OPTIMISERS[who][0],
                *_mean_curve(by_key[f"{who}-{space}"]),
                mean_and_error([row["error"][-1] for row in by_key[f"{who}-{space}"]])[1],
                *style,
                headline=who == "autobalance",
            )
            for who, style in styles.items()
            if f"{who}-{space}" in by_key
        ]
        for space in SPACES
    }
    return Picture(
        "cost",
        f"Balanced test error on {title} of what each search would have ended with, the mean over "
        "the seeds, against its cost. Bars are standard errors of the last ones.",
        "A panel for each space of values, with a point for AutoBalance and a line for each "
        "optimiser.",
        partial(cost_figure, {name: curves for name, curves in panels.items() if curves}),
    )


def _mean_curve(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """The mean over the seeds at every cost at which some seed improves, once all have begun."""
    costs = sorted({cost for row in rows for cost in row["cost"]})
    begun = max(row["cost"][0] for row in rows)
    costs = [cost for cost in costs if cost >= begun]
    means = [
        float(
            np.mean([row["error"][np.searchsorted(row["cost"], cost, "right") - 1] for row in rows])
        )
        for cost in costs
    ]
    if "budget" in rows[0]:
        costs.append(float(np.mean([row["budget"] for row in rows])))
        means.append(means[-1])
    return costs, means
