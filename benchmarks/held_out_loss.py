"""How many examples a smooth error rate needs to steer the search better than cross-entropy.

    python -m benchmarks.held_out_loss --data-dir DATA --seeds 5 --json results/held_out_loss.json

The tables are those that serve development. A stratified half of the rows trains, with the rarest
third of its classes thinned to a few examples each, and the other half tests. ``balanced`` is the
balanced error in percent of the loss that is designed by default; the summary has what the error
rate gives minus what cross-entropy gives, paired.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy import ndarray
from rich.console import Console
from rich.table import Table as Printed
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.objectives import Objective
from autobalance.runs.columns import Columns
from autobalance.runs.examples import prepare
from autobalance.search.heldout import HELD_OUT_LOSSES
from autobalance.search.settings import SearchSettings
from benchmarks.record import write_record

TABLES = ("ann_thyroid", "satimage")
EXAMPLES = (8, 16, 32, 64)
_SPLIT = "half"


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds is {arguments.seeds}; a standard error needs at least 2")
    runs = Parallel(n_jobs=arguments.jobs)(
        delayed(_on_one_thread)(arguments.data_dir, table, examples, seed)
        for table in TABLES
        for examples in EXAMPLES
        for seed in range(arguments.seeds)
    )
    rows = [row for run in runs for row in run]
    summary = summarise(rows)
    _show(summary)
    if arguments.json:
        write_record(arguments.json, "held_out_loss", rows, summary=summary)


def _on_one_thread(data_dir: Path, name: str, examples: int, seed: int) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    return compare(data_dir, name, examples, seed)


def compare(data_dir: Path, name: str, examples: int, seed: int) -> list[dict[str, Any]]:
    """Design a loss with either held-out loss, on the same examples and folds."""
    columns = Columns("target", split=_SPLIT)
    table = Columns("target").read(data_dir / "tables" / f"{name}.csv.gz")
    kept, marks = thinned_halves(table.column("target").to_numpy(), examples, seed)
    table = table.rows(kept)
    table = replace(table, frame=table.frame.assign(**{_SPLIT: marks}))
    data = prepare(columns.rows(table), columns)
    train, test = data.train, data.test
    assert test is not None  # half the rows are
    training = TrainingData(
        train.features, train.y, train.g, np.ones(len(train)), data.counts.classes
    )
    rows = []
    for loss in HELD_OUT_LOSSES:
        settings = SearchSettings(held_out_loss=loss)
        procedure = Procedure(Objective.parse("balanced"), seed=seed, settings=settings)
        bench = procedure.bench(training)
        head = bench.train(procedure.space(bench), "AutoBalance")
        accuracy = balanced_accuracy_score(test.y, head.model.predict(test.features))
        rows.append(
            {
                "method": f"AutoBalance, {loss}",
                "held_out_loss": loss,
                "table": name,
                "examples": examples,
                "seed": seed,
                "balanced": 100 * (1 - accuracy),
                "status": head.result.status,
            }
        )
    return rows


def thinned_halves(target: ndarray, examples: int, seed: int) -> tuple[ndarray, ndarray]:
    """Rows to keep and their part: a test half, and a half whose rarest classes are thinned."""
    train, test = train_test_split(
        np.arange(len(target)), test_size=0.5, stratify=target, random_state=seed
    )
    rng = np.random.default_rng(seed)
    labels, counts = np.unique(target, return_counts=True)
    for label in labels[counts.argsort(kind="stable")[: len(labels) // 3]]:
        own = train[target[train] == label]
        train = np.setdiff1d(train, rng.permutation(own)[examples:])
    return np.concatenate([train, test]), np.repeat(["train", "test"], [len(train), len(test)])


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean errors over the seeds, and their paired difference with its standard error."""
    summary = []
    for table, examples in dict.fromkeys((row["table"], row["examples"]) for row in rows):
        errors = {
            loss: np.array(
                [
                    row["balanced"]
                    for row in rows
                    if (row["table"], row["examples"], row["held_out_loss"])
                    == (table, examples, loss)
                ]
            )
            for loss in HELD_OUT_LOSSES
        }
        gap = errors["error"] - errors["cross-entropy"]
        summary.append(
            {
                "table": table,
                "examples": examples,
                **{loss: float(values.mean()) for loss, values in errors.items()},
                "difference": float(gap.mean()),
                "standard_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
            }
        )
    return summary


def _show(summary: list[dict[str, Any]]) -> None:
    printed = Printed(title="Balanced error in %, by the held-out loss that steers the search")
    printed.add_column("table")
    for name in ("examples of a rare class", *HELD_OUT_LOSSES, "error − cross-entropy"):
        printed.add_column(name, justify="right")
    for entry in summary:
        printed.add_row(
            entry["table"],
            str(entry["examples"]),
            *(f"{entry[loss]:.2f}" for loss in HELD_OUT_LOSSES),
            f"{entry['difference']:+.2f} ± {entry['standard_error']:.2f}",
        )
    Console(width=110).print(printed)


if __name__ == "__main__":
    main()
