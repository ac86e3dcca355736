"""What decisions cost with the designed loss, its closed forms and the rule of least expected cost.

    python -m benchmarks.costs --seeds 20 --json results/costs.json

Four classes of unlike spread are drawn anew for every seed, 1,000 examples to train on and 10,000
to test on, so that a linear head is wrong about their odds. Costs are of the true class alone, or
of every pair. The designed loss is searched with the smooth cost of softmax(s z) for several s, to
see how sharp it should be; the summary has each method's mean cost and, paired, what it is above
the designed loss at the s = 2 that is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from autobalance.calibration import TRAIN
from autobalance.contest.contenders import BASELINE, LEAST_COST, OURS, TUNED_BIAS
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.costs import Costs
from autobalance.objectives import Objective
from autobalance.posthoc import least_expected_cost
from autobalance.search import heldout
from benchmarks.record import write_record

COSTS = {
    "of the true class": (1 - np.eye(4)) * np.array([[1.0], [2.0], [8.0], [20.0]]),
    "of every pair": np.array([[0.0, 1, 1, 4], [2, 0, 6, 1], [1, 8, 0, 1], [20, 1, 3, 0]]),
}
SHARPNESS = (1.0, 2.0, 4.0, 8.0)
TRAINED, TESTED = 1000, 10_000
_SHARE = (0.55, 0.25, 0.13, 0.07)
_SPREAD = np.array([1.0, 1.6, 0.8, 1.3])


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds is {arguments.seeds}; a standard error needs at least 2")
    runs = Parallel(n_jobs=arguments.jobs)(
        delayed(compare)(kind, seed) for kind in COSTS for seed in range(arguments.seeds)
    )
    rows = [row for run in runs for row in run]
    summary = summarise(rows)
    _show(summary)
    if arguments.json:
        write_record(arguments.json, "costs", rows, summary=summary)


def compare(
    kind: str, seed: int, trained: int = TRAINED, tested: int = TESTED
) -> list[dict[str, Any]]:
    """The mean cost of every method's decisions on the same test examples."""
    torch.set_num_threads(1)
    matrix = COSTS[kind]
    features, y = draw(trained + tested, seed)
    train, test = slice(0, trained), slice(trained, None)
    data = TrainingData(
        features[train],
        y[train],
        np.zeros(trained, dtype=np.int64),
        np.ones(trained),
        tuple("abcd"),
    )
    procedure = Procedure(Objective.parse("cost", costs=Costs.of(matrix, "abcd")), seed=seed)
    bench = procedure.bench(data)
    plain = bench.calibrated(bench.train_preset("cross-entropy", BASELINE))
    heads = [
        plain,
        bench.train_preset("cost-weighted", "Cost weights"),
        bench.train_preset("cost-adjustment", "Cost adjustment"),
        bench.add_tuned_bias(plain, TUNED_BIAS),
    ]
    decided = {head.name: head.model.predict(features[test]) for head in heads}
    probabilities = plain.model.probabilities(features[test], TRAIN)
    decided[LEAST_COST] = least_expected_cost(probabilities, matrix)
    for sharpness in SHARPNESS:
        with patch.object(heldout, "_SHARPER", sharpness):
            bench = procedure.bench(data)  # keeps no start that was tuned otherwise
            head = bench.train(procedure.space(bench), designed(sharpness))
        decided[head.name] = head.model.predict(features[test])
    return [
        {"costs": kind, "seed": seed, "method": name, "cost": float(matrix[y[test], codes].mean())}
        for name, codes in decided.items()
    ]


def draw(size: int, seed: int) -> tuple[ndarray, ndarray]:
    """Features and classes of a world of its own."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(4, 6))
    y = rng.choice(4, size, p=_SHARE)
    return means[y] + _SPREAD[y, None] * rng.normal(size=(size, 6)), y


def designed(sharpness: float) -> str:
    """The name of the loss that is designed at a sharpness."""
    return f"{OURS}, s = {sharpness:g}"


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean costs over the seeds, and paired differences to the designed loss."""
    summary = []
    for kind in dict.fromkeys(row["costs"] for row in rows):
        costs: dict[str, list[float]] = {}
        for row in rows:
            if row["costs"] == kind:
                costs.setdefault(row["method"], []).append(row["cost"])
        ours = np.array(costs[designed(2.0)])
        for name, values in costs.items():
            gap = np.array(values) - ours
            summary.append(
                {
                    "costs": kind,
                    "method": name,
                    "cost": float(np.mean(values)),
                    "difference": float(gap.mean()),
                    "standard_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
                }
            )
    return summary


def _show(summary: list[dict[str, Any]]) -> None:
    printed = Table(title="Mean cost on test examples")
    for name in ("costs", "method"):
        printed.add_column(name)
    for name in ("cost", "minus the designed loss at s = 2"):
        printed.add_column(name, justify="right")
    for entry in summary:
        gap = f"{entry['difference']:+.3f} ± {entry['standard_error']:.3f}"
        printed.add_row(entry["costs"], entry["method"], f"{entry['cost']:.3f}", gap)
    Console(width=100).print(printed)


if __name__ == "__main__":
    main()
