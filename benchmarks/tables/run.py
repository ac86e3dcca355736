"""One case with one seed: every method is trained, and predicts what was held out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from threadpoolctl import threadpool_limits

from autobalance.contest.contenders import OURS, train_all
from benchmarks.tables.cases import Case, Task, make_task, read_case
from benchmarks.tables.measure import HeldOut
from benchmarks.tables.rivals import UNRANKED, fit_rivals


def run_case(data_dir: Path, case: Case, seed: int) -> dict[str, Any]:
    """The rows of a case and a seed, and the predictions behind them, as plain values.

    One thread does all of it, so that the seconds of the methods can be compared.
    """
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return run_task(make_task(read_case(data_dir, case), case, seed))


def run_task(task: Task) -> dict[str, Any]:
    """Train, predict and measure."""
    predicted: dict[str, ndarray] = {}
    rows: list[dict[str, Any]] = []

    def add(method: str, codes: ndarray, seconds: float, **facts: Any) -> None:
        predicted[method] = np.asarray(codes, dtype=np.int64)[None]
        rows.append({"method": method, "seconds": seconds, **facts})

    started = time.perf_counter()
    bench = task.procedure.bench(task.train)
    prepared = time.perf_counter() - started
    for head in train_all(bench, task.procedure.space, lambda _: None, lambda _: None):
        add(
            head.name,
            head.model.predict(task.test.features),
            prepared + head.seconds,
            choice=f"ridge={head.design.ridge:.2g}",
            evaluations=len(head.result.history),
            status=head.result.status,
        )
    for rival in fit_rivals(task.train, bench.folds, bench.objective, task.seed):
        add(rival.name, rival.predict(task.test.features), rival.seconds, choice=rival.choice)

    held_out = HeldOut(task.test.y, task.test.g, predicted)
    case = task.case
    for row in rows:
        row |= {
            "table": case.table,
            "grouping": case.grouping,
            "objective": case.objective,
            "basis": case.basis,
            "seed": task.seed,
            "headline": row["method"] == OURS,
            "ranked": row["method"] not in UNRANKED,
            "value": 100 * held_out.error(case.objective, row["method"]),
            "balanced": 100 * held_out.error("balanced", row["method"]),
        }
    return {
        "rows": rows,
        "y": held_out.y.tolist(),
        "g": held_out.g.tolist(),
        "predicted": {method: codes.tolist() for method, (codes,) in predicted.items()},
    }
