"""How often the verdict claims a gain: where there is none to be had, and where one is planted.

    python -m benchmarks.verdict --runs 200 --json results/verdict.json

*Null*: classes are Gaussians with one covariance, so the logits are linear and logit adjustment at
τ = 1 has the least balanced error that there is (Menon et al., 2021, theorem 1). Whatever the
search designs cannot be better, and a claimed gain is false.

*Null, no start rule*: the same without the rule that keeps the search at its start unless
the gain stands out on its own folds: the verdict alone must hold the line.

*Planted*: two groups of equal size, in which other features tell the classes apart, one group
easier than the other. All cells are equally frequent, so that every loss made from counts is plain
cross-entropy, while weights by cell move the boundary towards the group that is worst off.

A run is the whole procedure on fresh data: search, closed forms, outer folds, verdict.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from autobalance.contest.contenders import OURS
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.contest.recommend import recommend
from autobalance.objectives import Objective
from autobalance.search.settings import SearchSettings
from benchmarks.record import write_record

GOALS = {
    "null": "at most 5%",
    "null, no start rule": "at most 5%",
    "planted": "at least 90%",
}
_CENTRES = np.array([[1.0, 0.0, 0.0], [0.0, 1.2, 0.0], [0.0, 0.0, 1.4]])
_SHARES = np.array([0.7, 0.22, 0.08])


def null_data(seed: int, examples: int = 500) -> TrainingData:
    """Long-tailed Gaussian classes of one covariance."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), np.round(_SHARES * examples).astype(int))
    features = _CENTRES[y] + rng.normal(size=(len(y), 3))
    nobody = np.zeros(len(y), dtype=np.int64)
    return TrainingData(features, y, nobody, np.ones(len(y)), ("a", "b", "c"))


def planted_data(seed: int, examples: int = 1200) -> TrainingData:
    """Four equal cells; the first feature serves one group, the second the other."""
    rng = np.random.default_rng(seed)
    y, g = np.repeat([[0, 0, 1, 1], [0, 1, 0, 1]], examples // 4, axis=1)
    sign = 2.0 * y - 1
    features = rng.normal(size=(len(y), 2))
    features[:, 0] += np.where(g == 0, 2.2 * sign, 0.0)
    features[:, 1] += np.where(g == 1, 1.0 * sign, -1.0 * sign)
    return TrainingData(features, y, g, np.ones(len(y)), ("no", "yes"), ("one", "other"))


CASES = {
    "null": (null_data, "balanced", SearchSettings()),
    "null, no start rule": (null_data, "balanced", SearchSettings(required_gain=None)),
    "planted": (planted_data, "worst-group", SearchSettings()),
}


def one_run(case: str, seed: int, folds: int = 5) -> dict[str, Any]:
    """Design, judge and say what was recommended."""
    torch.set_num_threads(1)
    make, objective, settings = CASES[case]
    procedure = Procedure(Objective.parse(objective), cv=folds, seed=seed, settings=settings)
    outcome = recommend(make(seed), procedure, folds, everything=False)
    verdict = outcome.verdict
    assert verdict is not None
    return {
        "case": case,
        "seed": seed,
        "recommended": verdict.recommended,
        "best": verdict.best,
        "gain": verdict.gain,
        "status": outcome.heads[OURS].result.status,
        "errors": {each.name: round(100 * each.error.value, 2) for each in verdict.standings},
    }


def main() -> None:
    """Run both cases, print how often a gain was claimed, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = Parallel(n_jobs=arguments.jobs)(
        delayed(one_run)(case, seed) for case in CASES for seed in range(arguments.runs)
    )
    summary = [_summary(case, [row for row in rows if row["case"] == case]) for case in CASES]
    table = Table(title="How often the verdict claims a gain for the designed loss")
    for heading in ("case", "runs", "claims", "share", "95% interval", "goal"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for entry in summary:
        low, high = entry["interval"]
        table.add_row(
            entry["case"],
            str(entry["runs"]),
            str(entry["claims"]),
            f"{entry['share']:.1%}",
            f"{low:.1%} to {high:.1%}",
            GOALS[entry["case"]],
        )
    Console(width=100).print(table)
    if arguments.json:
        write_record(arguments.json, "verdict", rows, summary=summary, goals=GOALS)


def _summary(case: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    claims = sum(row["gain"] for row in rows)
    interval = binomtest(claims, len(rows)).proportion_ci()
    return {
        "case": case,
        "runs": len(rows),
        "claims": claims,
        "share": claims / len(rows),
        "interval": [interval.low, interval.high],
    }


if __name__ == "__main__":
    main()
