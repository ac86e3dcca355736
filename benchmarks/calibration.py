"""Probabilities after prior correction: calibration error and balanced error on tables.

    python -m benchmarks.calibration --data-dir DATA --seeds 5 --json results/calibration.json

``AutoBalanceClassifier("balanced", verdict=None)`` is fitted on each table. Adult is tested on its
own test split, so that only the folds change with the seed; of the others the seed puts a
stratified 30% of the rows aside. The test rows report and choose nothing. All figures are in
percent.

``raw`` is the expected calibration error (most probable class, 15 bins of equal mass, classes as
often as in training) of ``predict_proba(X)``, which goes with the decisions for the balanced
objective; ``shift`` that of the same probabilities times the training shares (label shift, nothing
fitted); ``corrected`` that of ``predict_proba(X, prior="train")``. ``exact`` is what the corrected
probabilities would show on average on as many examples if they were true.
``balanced`` is the balanced error of ``predict``; ``change`` is how much larger it is when the
largest of ``predict_proba(X, prior="balanced")`` decides instead.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Printed
from sklearn.model_selection import train_test_split

from autobalance import AutoBalanceClassifier
from autobalance.calibration import weight_for
from autobalance.data.tables import Table, read_table
from autobalance.evaluation import Evaluator
from autobalance.objectives import Objective
from autobalance.reliability import expected_calibration_error
from autobalance.runs.columns import Columns
from autobalance.runs.examples import PreparedRows, prepare
from benchmarks.record import write_record

TARGETS = {
    "adult": "income",
    "bank_marketing": "y",
    "mammography": "malignant",
    "ann_thyroid": "target",
    "satimage": "target",
}
SPLIT = "split"
TEST_SHARE = 0.3
OBJECTIVE = "balanced"
GOAL_RATIO = 0.5
GOAL_TABLES = 3
_NORMAL = 1.96
_DRAWS = 200


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rows = []
    for name, target in TARGETS.items():
        table = read_table(arguments.data_dir / "tables" / f"{name}.csv.gz", required=[target])
        for seed in range(arguments.seeds):
            columns = Columns(target, split=SPLIT)
            data = prepare(columns.rows(split_table(table, target, seed)), columns)
            rows.append({"table": name, **measure(data, seed)})
            print(f"{name}, seed {seed} done", flush=True)
    summary = summarise(rows)
    _show(summary)
    if arguments.json:
        goal = {"ratio": GOAL_RATIO, "tables": GOAL_TABLES, "met": goal_met(summary)}
        write_record(arguments.json, "calibration", rows, summary=summary, goal=goal)


def split_table(table: Table, target: str, seed: int) -> Table:
    """The table with a split column: its own, or a stratified one drawn by the seed."""
    if SPLIT in table.names:
        return table
    positions = np.arange(len(table))
    _, test = train_test_split(
        positions, test_size=TEST_SHARE, stratify=table.column(target), random_state=seed
    )
    part = np.where(np.isin(positions, test), "test", "train")
    return replace(table, frame=table.frame.assign(**{SPLIT: part}))


def measure(data: PreparedRows, seed: int) -> dict[str, Any]:
    """Fit on the training rows and measure on the test rows."""
    train, test, counts = data.train, data.test, data.counts
    assert test is not None  # split_table marks some
    model = AutoBalanceClassifier(OBJECTIVE, verdict=None, random_state=seed)
    model.fit(train.features, train.y)
    shares = counts.per_class / counts.per_class.sum()
    weight = weight_for(shares, test.y, np.ones(len(test)))
    raw, corrected, balanced = (
        model.predict_proba(test.features, prior) for prior in (None, "train", "balanced")
    )
    shifted = raw * shares / (raw @ shares)[:, None]
    predicted = model.predict(test.features)
    evaluator = Evaluator(
        test.y, None, counts, Objective.parse(OBJECTIVE).bind(counts), random_state=seed
    )
    error = evaluator.evaluate(predicted).objective
    change = evaluator.paired_difference(balanced.argmax(axis=1), predicted)
    return {
        "method": "AutoBalance",
        "headline": True,
        "seed": seed,
        "raw": 100 * expected_calibration_error(raw, test.y, weight),
        "shift": 100 * expected_calibration_error(shifted, test.y, weight),
        "corrected": 100 * expected_calibration_error(corrected, test.y, weight),
        "exact": 100 * exact_error(corrected, weight, seed),
        "balanced": 100 * error.value,
        "balanced_standard_error": 100 * (error.high - error.low) / (2 * _NORMAL),
        "change": 100 * change.value,
        "change_interval": [100 * change.low, 100 * change.high],
        "examples": len(test),
        "status": model.result_.status,
    }


def exact_error(probabilities: np.ndarray, weight: np.ndarray, seed: int) -> float:
    """Mean calibration error measured on labels that are drawn from the probabilities."""
    rng = np.random.default_rng(seed)
    steps = probabilities.cumsum(axis=1)
    draws = [
        expected_calibration_error(
            probabilities,
            (rng.random((len(steps), 1)) * steps[:, -1:] >= steps).sum(axis=1),
            weight,
        )
        for _ in range(_DRAWS)
    ]
    return float(np.mean(draws))


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds for every table, and whether it meets the goal.

    The balanced error counts as unchanged if its mean change is within the bootstrap standard error
    of the balanced error itself.
    """
    summary = []
    for name in dict.fromkeys(row["table"] for row in rows):
        own = [row for row in rows if row["table"] == name]
        entry: dict[str, Any] = {"table": name}
        for figure in ("raw", "shift", "corrected", "exact", "balanced", "change"):
            values = [row[figure] for row in own]
            entry[figure] = float(np.mean(values))
            entry[f"{figure}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        for figure in ("balanced_standard_error", "change_interval"):
            entry[figure] = np.mean([row[figure] for row in own], axis=0).tolist()
        entry["ratio"] = entry["corrected"] / entry["raw"]
        entry["halved"] = entry["ratio"] <= GOAL_RATIO
        entry["unchanged"] = abs(entry["change"]) <= entry["balanced_standard_error"]
        summary.append(entry)
    return summary


def goal_met(summary: list[dict[str, Any]]) -> bool:
    """Whether enough tables have both at most half the error and unchanged decisions."""
    return sum(entry["halved"] and entry["unchanged"] for entry in summary) >= GOAL_TABLES


def _show(summary: list[dict[str, Any]]) -> None:
    printed = Printed(
        title="Expected calibration error for the classes' training shares, in % (mean ± sd)",
        caption="in brackets: paired 95% test-bootstrap interval of the change",
    )
    printed.add_column("table")
    for name in ("raw", "shift", "corrected", "exact", "ratio", "balanced", "change"):
        printed.add_column(name, justify="right")
    for entry in summary:
        low, high = entry["change_interval"]
        printed.add_row(
            entry["table"],
            *(
                f"{entry[name]:.2f} ± {entry[f'{name}_sd']:.2f}"
                for name in ("raw", "shift", "corrected", "exact")
            ),
            f"{entry['ratio']:.2f}",
            f"{entry['balanced']:.2f} ± {entry['balanced_sd']:.2f}",
            f"{entry['change']:+.2f} ± {entry['change_sd']:.2f}\n[{low:+.2f}, {high:+.2f}]",
        )
    Console(width=130).print(printed)
    for fact in ("halved", "unchanged"):
        print(f"{fact}: {', '.join(e['table'] for e in summary if e[fact]) or 'none'}")
    print(
        f"goal: at most {GOAL_RATIO:g} of the raw error on {GOAL_TABLES} tables, balanced error "
        f"unchanged within its standard error: {'met' if goal_met(summary) else 'missed'}"
    )


if __name__ == "__main__":
    main()
