"""A million rows of 200 features: the time and the memory of the command, by the number of rows.

    python -m benchmarks.million_rows --folder DIR --json results/million_rows.json

A seeded Parquet file with 150 columns of float32, 30 of which have gaps, 40 columns of whole
numbers, 10 of text, a class of which 2% are positive, a group column and a split column (90% train,
5% validation, 5% test) is written a row group at a time, and larger files begin with the rows of
smaller ones. Each file then goes through the command as a user would type it,

    autobalance fit FILE --target label --group region --split split --out RUN

with nothing else given: the search on five folds, the closed forms, the verdict, the retraining on
all training rows and the report. ``predict`` then predicts all the rows of the file, and
``evaluate`` measures the run on all of them.

``peak`` is the largest memory that a command and its children held at once, as far as /proc tells:
the system's own high-water mark of the command, and samples of its children. ``data`` is what the
features of the file's rows take in float32, with the texts as indicators, and ``above`` the
difference. The slope of the peak over ``data`` says how many copies of the data there are; memory
that grows with the rows in any other way shows in it too. ``cpu`` are the seconds of all its
processors, and ``load`` is the machine's load before each command: other work makes the seconds
larger and does not change the bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from benchmarks.record import write_record

SIZES = (125_000, 250_000, 500_000, 1_000_000)
GOAL_MINUTES, GOAL_GB = 15.0, 8.0
FIT, PREDICT, EVALUATE = "fit", "predict", "evaluate"
ROLES = ("--target", "label", "--group", "region", "--split", "split")

_REALS, _WITH_GAPS, _WHOLE, _TEXTS = 150, 30, 40, 10
_FACTORS = 12
_ROW_GROUP = 25_000
_POSITIVE = 0.02
_REGIONS, _REGION_SHARES = ("north", "south", "west"), (0.5, 0.3, 0.2)
_SPLITS, _SPLIT_SHARES = ("train", "validation", "test"), (0.9, 0.05, 0.05)
_GAPS = 0.05
_INTERVAL = 0.05  # seconds between two looks at the memory


class Run(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    peak: int
    load: float


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for the files and the runs")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    arguments.folder.mkdir(parents=True, exist_ok=True)
    measured = []
    for rows in arguments.rows:
        measured += measure(arguments.folder, rows, arguments.seed)
        _show(measured)
    summary = summarise(measured)
    print(
        f"goal: {summary['rows']:,} rows fitted in {GOAL_MINUTES:g} minutes and {GOAL_GB:g} GB: "
        f"{'met' if summary['met'] else 'missed'}, {summary['minutes']:.1f} minutes, "
        f"{summary['peak'] / 1e9:.1f} GB"
    )
    if arguments.json:
        write_record(arguments.json, "million_rows", measured, summary=summary)


def measure(folder: Path, rows: int, seed: int) -> list[dict[str, Any]]:
    """Write the file of so many rows, and put it through the three commands."""
    name = f"{rows}-rows"
    file, run = folder / f"{name}.parquet", folder / f"{name}-run"
    write_table(file, rows, seed)
    words = {
        FIT: (FIT, str(file), *ROLES, "--out", str(run)),
        PREDICT: (PREDICT, str(run), str(file), "--out", str(folder / f"{name}-predictions.csv")),
        EVALUATE: (EVALUATE, str(run), str(file), "--part", "all"),
    }
    done = {}
    for command, arguments in words.items():
        done[command] = measure_command([sys.executable, "-m", "autobalance", *arguments])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    features = metrics["data"]["features"]
    return [
        {
            "command": command,
            "rows": rows,
            "features": features,
            "seconds": took.seconds,
            "cpu": took.cpu,
            "peak": took.peak,
            "data": 4 * rows * features,
            "load": took.load,
            **({"kept": metrics["kept"]} if command == FIT else {}),
        }
        for command, took in done.items()
    ]


def measure_command(words: list[str]) -> Run:
    """Run a command, and watch the memory that it and its children hold.

    Raises
    ------
    SystemExit
        If the command fails.
    """
    load = os.getloadavg()[0]
    started = time.perf_counter()
    peak = 0
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, resident(process.pid, "VmHWM"))
        time.sleep(_INTERVAL)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed")
    seconds = time.perf_counter() - started
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak, load)


def resident(process: int, mark: str = "VmRSS") -> int:
    """Bytes of memory that a process and all its descendants hold; 0 once it has ended.

    With the mark ``VmHWM``, the most that the process has held, beside what the others hold now.
    """
    folder = Path("/proc") / str(process)
    try:
        lines = (folder / "status").read_text().splitlines()
        tasks = [(task / "children").read_text() for task in (folder / "task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = sum(int(line.split()[1]) for line in lines if line.startswith(f"{mark}:"))
    children = [int(child) for children in tasks for child in children.split()]
    return 1024 * own + sum(map(resident, children))


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write the table a row group at a time."""
    writer = None
    for number, first in enumerate(range(0, rows, _ROW_GROUP)):
        group = row_group(min(_ROW_GROUP, rows - first), seed, number)
        writer = writer or pq.ParquetWriter(path, group.schema)
        writer.write_table(group)
    if writer is not None:
        writer.close()


def row_group(rows: int, seed: int, number: int) -> pa.Table:
    """Some rows, which depend on nothing but the seed and on which row group they are.

    The features hang together through a few factors, which the class and the region shift: the
    class more where the region is common, so that the loss has a part to play.
    """
    columns = np.random.default_rng(seed)  # what every row group has in common
    loadings = columns.normal(size=(_FACTORS, _REALS + _WHOLE)) / _FACTORS**0.5
    of_class = columns.normal(size=_FACTORS)
    of_region = columns.normal(size=(len(_REGIONS), _FACTORS))
    kinds = columns.integers(3, 9, size=_TEXTS)
    to_text = columns.normal(size=(_FACTORS, _TEXTS))

    rng = np.random.default_rng((seed, number))
    positive = rng.random(rows) < _POSITIVE
    region = rng.choice(len(_REGIONS), rows, p=_REGION_SHARES)
    strength = np.array([1.0, 0.7, 0.4])[region] * positive
    factors = rng.normal(size=(rows, _FACTORS)) * (1 + 0.5 * positive)[:, None]
    factors += strength[:, None] * of_class + 0.5 * of_region[region]
    values = (factors @ loadings + rng.normal(size=(rows, _REALS + _WHOLE))).astype(np.float32)
    values[:, :_WITH_GAPS][rng.random((rows, _WITH_GAPS)) < _GAPS] = np.nan
    named: dict[str, ndarray | pa.Array] = {
        f"real_{j:03d}": pa.array(values[:, j], from_pandas=True) for j in range(_REALS)
    }
    for j in range(_WHOLE):
        named[f"whole_{j:02d}"] = np.floor(10 * np.exp(0.5 * values[:, _REALS + j])).astype(int)
    scores = factors @ to_text + 2 * rng.normal(size=(rows, _TEXTS))
    for j in range(_TEXTS):
        kind = np.clip(scores[:, j] + kinds[j] / 2, 0, kinds[j] - 1).astype(int)
        named[f"text_{j}"] = _texts([f"kind {letter}" for letter in "abcdefghi"], kind)
    named["region"] = _texts(_REGIONS, region)
    named["split"] = _texts(_SPLITS, rng.choice(len(_SPLITS), rows, p=_SPLIT_SHARES))
    named["label"] = _texts(("no", "yes"), positive.astype(int))
    return pa.table(named)


def _texts(words: Any, codes: ndarray) -> pa.Array:
    """Plain text, as a database exports it."""
    return pa.DictionaryArray.from_arrays(codes, list(words)).dictionary_decode()


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest fit beside the goal, and copies of the data that the peak of each command has."""
    largest = max((row for row in rows if row["command"] == FIT), key=lambda row: row["rows"])
    minutes = largest["seconds"] / 60
    copies = {}
    for command in (FIT, PREDICT, EVALUATE):
        own = [(row["data"], row["peak"]) for row in rows if row["command"] == command]
        copies[command] = float(np.polyfit(*zip(*own, strict=True), 1)[0]) if own[1:] else None
    return {
        "rows": largest["rows"],
        "minutes": minutes,
        "peak": largest["peak"],
        "copies": copies,
        "goal_minutes": GOAL_MINUTES,
        "goal_peak": GOAL_GB * 1e9,
        "met": minutes <= GOAL_MINUTES and largest["peak"] <= GOAL_GB * 1e9,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Time and memory by the number of rows")
    table.add_column("command")
    for name in ("rows", "features", "seconds", "CPU", "peak GB", "above the data, GB", "load"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["command"],
            f"{row['rows']:,}",
            str(row["features"]),
            f"{row['seconds']:.0f}",
            f"{row['cpu']:.0f}",
            f"{row['peak'] / 1e9:.2f}",
            f"{(row['peak'] - row['data']) / 1e9:.2f}",
            f"{row['load']:.1f}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
