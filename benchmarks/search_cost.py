"""What the gradient is worth: the exact search against TPE over the same parameters.

    python -m benchmarks.search_cost --data-dir DATA --json results/search_cost.json --jobs 2

Both minimise the same function within the same bounds from the same start (logit adjustment): the
balanced objective held out in 5 folds, with its shrinkage term, as
:class:`~autobalance.search.exact.ExactProblem` defines it, over one weight and one additive
adjustment per class and the ridge, so that the dimension 2K + 1 grows with the classes. Both train
the same heads with the same solver, warm-started, on one thread. TPE (Optuna's defaults) gets the
value alone and so pays for no gradient; the start is its first trial. Where it finds nothing lower
in 200 trials, the exact search is there after its first evaluation. The bounds are wide, and a
search without gradients is lost in many wide dimensions, so a second TPE gets a box around the
start that fits: one nat wide to each side, the standard deviation that the shrinkage expects. That
is knowledge the exact search does without.

Every table is cut to about 2,000 rows by one rule, or TPE's 200 trials would take hours at 26
classes: each class keeps its share, rounded up, and at least 20 examples or all it has. The rows of
the JSON hold how many examples that are.

``seconds`` and ``objective`` of a row are those of the whole search; its ``trace`` has
[evaluations, seconds, best value so far] at every improvement. The summary compares the time of
200 trials with the time after which the exact search is at least as low.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from joblib import Parallel, delayed
from numpy import ndarray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.objectives import Objective
from autobalance.runs.columns import Columns
from autobalance.runs.examples import prepare
from autobalance.search.exact import ExactProblem, exact_search
from autobalance.search.folds import Folds
from autobalance.space import SearchSpace
from autobalance.workbench import Workbench
from benchmarks.record import write_record

TABLES = ("ann_thyroid", "satimage", "shuttle", "krkopt", "letter")
ROWS = 2000
FEWEST = 20
TRIALS = 200
EXACT, TPE, NARROW = "exact", "TPE", "TPE near the start"
NEAR, NEAR_RIDGE = 1.0, 4.0
"""Half the width of the second TPE's box, in log weights and logits, and in log ridge."""
GOAL_RATIO = 0.1

Trace = list[tuple[int, float, float]]
"""Evaluations, seconds and the lowest value so far, at every improvement."""


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--jobs", type=int, default=1, help="tables at once, one thread each")
    arguments = parser.parse_args()

    work = [(table, seed) for table in TABLES for seed in range(arguments.seeds)]
    runs = Parallel(n_jobs=arguments.jobs)(
        delayed(_compare)(arguments.data_dir, table, seed, arguments.trials) for table, seed in work
    )
    rows = [row for run in runs for row in run]
    summary = summarise(rows)
    reached = goals(summary)
    _show(summary, reached, arguments.trials)
    if arguments.json:
        write_record(arguments.json, "search_cost", rows, summary=summary, goals=reached)


def _compare(data_dir: Path, table: str, seed: int, trials: int) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    with threadpool_limits(1):
        data = read_examples(data_dir / "tables" / f"{table}.csv.gz", seed)
        procedure = Procedure(
            Objective.parse("balanced"), seed=seed, dictionary="class", start="logit-adjustment"
        )
        bench = procedure.bench(data)
        space = procedure.space(bench)
        # What libraries load on first use is on nobody's bill.
        bench.problem(space).value_and_gradient(np.zeros(space.dimension))
        traces = {
            EXACT: exact_trace(bench, space),
            TPE: tpe_trace(bench, space, space.bounds, trials, seed),
            NARROW: tpe_trace(bench, space, near_start(space), trials, seed),
        }
    return [
        {
            "method": method,
            "table": table,
            "classes": bench.counts.n_classes,
            "dimension": space.dimension,
            "examples": len(data),
            "seed": seed,
            "evaluations": evaluations,
            "seconds": seconds,
            "objective": trace[-1][2],
            "trace": trace,
        }
        for method, (trace, evaluations, seconds) in traces.items()
    ]


def read_examples(path: Path, seed: int) -> TrainingData:
    """The rows that are searched on."""
    columns = Columns("target")
    whole = columns.read_to_fit(path)
    kept = kept_rows(whole.target.to_numpy(), seed)
    data = prepare(whole.rows(kept), columns)
    return TrainingData(
        data.train.features,
        data.train.y,
        data.train.g,
        np.ones(len(data.train)),
        data.counts.classes,
    )


def kept_rows(target: ndarray, seed: int) -> ndarray:
    """About :data:`ROWS` positions: of each class its share, and :data:`FEWEST` or all it has."""
    rng = np.random.default_rng(seed)
    kept = []
    for label in np.unique(target):
        own = np.flatnonzero(target == label)
        share = int(np.ceil(len(own) * min(1.0, ROWS / len(target))))
        kept.append(rng.choice(own, min(len(own), max(share, FEWEST)), replace=False))
    return np.sort(np.concatenate(kept))


def exact_trace(bench: Workbench, space: SearchSpace) -> tuple[Trace, int, float]:
    """The library's own search, with its own limits."""
    problem = bench.problem(space)
    settings = bench.settings
    exact_search(
        problem, max_evaluations=settings.max_evaluations, tolerance=settings.tolerance_used
    )
    points = [(e.seconds, e.objective + _shrinkage(problem, e.alpha)) for e in problem.history]
    return improvements(points), len(points), points[-1][0]


def near_start(space: SearchSpace) -> list[tuple[float, float]]:
    """The bounds of the second TPE."""
    reach = [NEAR] * space.n_loss_values + [NEAR_RIDGE] * space.search_ridge
    return [
        (max(low, -half), min(high, half))
        for (low, high), half in zip(space.bounds, reach, strict=True)
    ]


def tpe_trace(
    bench: Workbench,
    space: SearchSpace,
    bounds: list[tuple[float, float]],
    trials: int,
    seed: int,
) -> tuple[Trace, int, float]:
    """Optuna's tree-structured Parzen estimator, with its defaults."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problem = bench.problem(space)
    points: list[tuple[float, float]] = []
    lowest, theta = np.inf, problem.heads.theta
    started = time.perf_counter()

    def objective(trial: optuna.Trial) -> float:
        alpha = [trial.suggest_float(str(i), *bound) for i, bound in enumerate(bounds)]
        nonlocal lowest, theta
        problem.heads.theta = theta  # that of the best point, as the exact search does
        value = value_at(problem, bench.folds, np.array(alpha))
        if value < lowest:
            lowest, theta = value, problem.heads.theta
        points.append((time.perf_counter() - started, value))
        return value

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({str(i): 0.0 for i in range(space.dimension)})
    study.optimize(objective, n_trials=trials)
    return improvements(points), len(points), points[-1][0]


def value_at(problem: ExactProblem, folds: Folds, alpha: ndarray) -> float:
    """What the exact search minimises, without its gradient; the heads start at their θ."""
    heads = problem.heads
    with torch.no_grad():
        heads.set_loss(problem.space.decode(torch.from_numpy(alpha)))
        heads.fit()
        logits = heads.outputs(torch.from_numpy(folds.fold), torch.from_numpy(folds.row))
        return float(problem.held_out(logits).total) + _shrinkage(problem, alpha)


def _shrinkage(problem: ExactProblem, alpha: ndarray) -> float:
    loss_values = alpha[: problem.space.n_loss_values]
    return 0.5 * problem.pull * float(loss_values @ loss_values)


def improvements(points: Iterable[tuple[float, float]]) -> Trace:
    """Where (seconds, value) became lower than ever before."""
    trace: Trace = []
    for number, (seconds, value) in enumerate(points, 1):
        if not trace or value < trace[-1][2]:
            trace.append((number, seconds, value))
    return trace


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each table, seed and rival, few classes first."""
    pairs: dict[tuple[int, str, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        key = (row["classes"], row["table"], row["seed"])
        pairs.setdefault(key, {})[row["method"]] = row
    summary = []
    for (classes, table, seed), methods in sorted(pairs.items()):
        exact = methods[EXACT]
        for rival in (TPE, NARROW):
            other = methods[rival]
            reached = [s for _, s, value in exact["trace"] if value <= other["objective"]]
            summary.append(
                {
                    "table": table,
                    "classes": classes,
                    "dimension": exact["dimension"],
                    "examples": exact["examples"],
                    "seed": seed,
                    "start": exact["trace"][0][2],
                    "exact": exact["objective"],
                    "exact_seconds": exact["seconds"],
                    "rival": rival,
                    "rival_objective": other["objective"],
                    "rival_seconds": other["seconds"],
                    "seconds_to_rival": reached[0] if reached else None,
                    "ratio": reached[0] / other["seconds"] if reached else None,
                }
            )
    return summary


def goals(summary: list[dict[str, Any]]) -> dict[str, Any]:
    """For each rival: a tenth of its time everywhere, and a lead that grows with the classes."""
    reached = {}
    for rival in (TPE, NARROW):
        own = [entry for entry in summary if entry["rival"] == rival]
        ratios = [np.inf if entry["ratio"] is None else entry["ratio"] for entry in own]
        growth = float(spearmanr([entry["classes"] for entry in own], ratios).statistic)
        reached[f"{rival}: its value in under {GOAL_RATIO:g} of its time"] = {
            "met": max(ratios) < GOAL_RATIO,
            "missed": [
                entry["table"]
                for entry, ratio in zip(own, ratios, strict=True)
                if ratio >= GOAL_RATIO
            ],
        }
        reached[f"{rival}: the lead grows with the classes"] = {
            "met": growth < 0,
            "rank correlation of classes and ratio": growth,
        }
    return reached


def _show(summary: list[dict[str, Any]], reached: dict[str, Any], trials: int) -> None:
    table = Table(
        title=f"Exact search against TPE ({trials} trials): held-out objective (seconds)",
        caption="time to rival: seconds after which the exact search is as low; ratio: that over "
        "the rival's seconds",
    )
    columns = ("table", "classes", "values", "start", "exact", "rival", "its", "time to", "ratio")
    for name in columns:
        table.add_column(name, justify="left" if name in ("table", "rival") else "right")
    for entry in summary:
        seconds, ratio = entry["seconds_to_rival"], entry["ratio"]
        table.add_row(
            entry["table"],
            str(entry["classes"]),
            str(entry["dimension"]),
            f"{entry['start']:.4f}",
            f"{entry['exact']:.4f} ({entry['exact_seconds']:.1f})",
            entry["rival"],
            f"{entry['rival_objective']:.4f} ({entry['rival_seconds']:.1f})",
            "not reached" if seconds is None else f"{seconds:.2f}",
            "" if ratio is None else f"{ratio:.4f}",
        )
    Console(width=120).print(table)
    for goal, facts in reached.items():
        details = ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "met")
        print(f"goal: {goal}: {'met' if facts['met'] else 'missed'} ({details})")


if __name__ == "__main__":
    main()
