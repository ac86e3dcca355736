"""Many trainings: what is finished stays, and several run at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from autobalance.jobs import each_finished
from autobalance.reproduce.images.settings import RATIO
from benchmarks.long_tail.cases import CASES, Data, read_case
from benchmarks.long_tail.lab import Lab, Recipe
from benchmarks.record import Parts

Row = dict[str, Any]
Run = Callable[[Lab, int], list[Row]]
"""The rows of the work at a position."""


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every sweep has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--dataset", choices=CASES, required=True)
    options.add_argument("--model", default=Recipe.model, help="a built-in name")
    options.add_argument("--data-dir", type=Path, required=True)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--epochs", type=int, default=Recipe.epochs)
    options.add_argument("--only", help="parts of names, a semicolon between; by default all")
    options.add_argument("--device", help="by default a GPU if there is one")
    options.add_argument("--jobs", type=int, default=1, help="trainings at once, sharing the cores")
    return options


def settings_of(arguments: argparse.Namespace, development: bool) -> dict[str, Any]:
    """What every row depends on."""
    return {
        "dataset": arguments.dataset,
        "development": development,
        "ratio": RATIO,
        "model": arguments.model,
        "epochs": arguments.epochs,
        "device": arguments.device,
    }


class Sweep:
    """Works, each with names of its rows, for every seed.

    Parameters
    ----------
    arguments
        Of :func:`parser`.
    settings
        Of :func:`settings_of`.
    column
        Which holds a row's name.
    names
        Of each work's rows.
    run
        From a lab and the position of a work to its rows; the processes that run it import it.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: dict[str, Any],
        column: str,
        names: Sequence[tuple[str, ...]],
        run: Run,
    ) -> None:
        self._arguments, self._settings, self._run = arguments, settings, run
        self._column, self._names = column, names
        self._parts = Parts(arguments.json, settings)

    def rows(self) -> list[Row]:
        """All rows that are asked for, and those of an earlier record with the same settings."""
        kept = self._kept()
        done = {(row[self._column], row["seed"]) for row in kept}
        units = [
            (work, seed)
            for seed in range(self._arguments.seeds)
            for work in self._chosen()
            if not {(name, seed) for name in self._names[work]} <= done
        ]
        left = [unit for unit in units if self._key(*unit) not in self._parts]
        print(f"{len(left)} trainings or searches are left", flush=True)
        for _, line in each_finished(self._finish, left, self._arguments.jobs):
            print(line, flush=True)
        new = [row for unit in units for row in self._parts.read(self._key(*unit))]
        order = [name for names in self._names for name in names]
        return sorted([*kept, *new], key=lambda row: (order.index(row[self._column]), row["seed"]))

    def remove_parts(self) -> None:
        """Once the record is written."""
        self._parts.remove()

    def _finish(self, work: int, seed: int) -> str:
        dataset, development = self._settings["dataset"], self._settings["development"]
        recipe = Recipe(**{each.name: self._settings[each.name] for each in fields(Recipe)})
        data = _data(self._arguments.data_dir, dataset, development)
        rows = self._run(Lab(CASES[dataset], data, recipe, seed), work)
        facts = {"seed": seed, "created": datetime.now(UTC).isoformat(timespec="seconds")}
        self._parts.write(self._key(work, seed), [row | facts for row in rows])
        return "\n".join(f"seed {seed}, {row[self._column]}: {row['balanced']:.2f}" for row in rows)

    def _chosen(self) -> list[int]:
        wanted = (self._arguments.only or "").split(";")
        return [
            work
            for work, names in enumerate(self._names)
            if any(part in name for part in wanted for name in names)
        ]

    def _kept(self) -> list[Row]:
        record = self._arguments.json
        if not record.exists():
            return []
        earlier = json.loads(record.read_text(encoding="utf-8"))
        known = {name for names in self._names for name in names}
        if earlier["settings"] != self._settings:
            return []
        return [row for row in earlier["rows"] if row[self._column] in known]

    def _key(self, work: int, seed: int) -> str:
        name = self._names[work][0]
        return "".join(letter if letter.isalnum() else "-" for letter in name) + f"-{seed}"


@lru_cache(maxsize=1)
def _data(data_dir: Path, dataset: str, development: bool) -> Data:
    return read_case(data_dir, CASES[dataset], development)
