"""Finished runs as files, one for each (method, seed), so that an interrupted job goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autobalance.errors import ArtifactError
from autobalance.jobs import each_finished
from autobalance.runs.watch import Watch
from autobalance.storage import write_text_atomically

Row = dict[str, Any]
_MARK = 8
_TOLD = "told"
"""What the watch hears of a row when it is done; no figure comes of it."""


class KeptRuns:
    """A folder of finished runs under the same settings.

    Its name ends with a mark of the settings, so runs under others never count, and
    ``settings.json`` in it says what they are.

    Parameters
    ----------
    folder
        The folder of all runs.
    label
        What the runs are of, for people who look at the folder.
    settings
        What every run depends on beside method and seed, as plain values.
    """

    def __init__(self, folder: Path, label: str, settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        text = json.dumps(self.settings, sort_keys=True)
        mark = hashlib.sha256(text.encode()).hexdigest()[:_MARK]
        self.folder = folder / f"{label}-{mark}"

    def has(self, method: str, seed: int) -> bool:
        """Whether the run is finished."""
        return self._path(method, seed).exists()

    def read(self, method: str, seed: int) -> Row:
        """A finished run.

        Raises
        ------
        ArtifactError
            If its file is damaged.
        """
        path = self._path(method, seed)
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            if (row["method"], row["seed"]) != (method, seed):
                raise ValueError("it is of another run")
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtifactError(
                f"{path} is damaged ({error}); delete it to have it run again"
            ) from error
        return dict(row)

    def write(self, method: str, seed: int, row: Mapping[str, Any]) -> None:
        """Keep a finished run, whole or not at all.

        Raises
        ------
        ArtifactError
            If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(
                f"cannot write {self.folder} ({error.strerror}); choose another folder with --out"
            ) from error
        settings = self.folder / "settings.json"
        if not settings.exists():
            write_text_atomically(settings, json.dumps(self.settings, indent=1) + "\n")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        document = {"method": method, "seed": seed, **row, "created": created}
        write_text_atomically(
            self._path(method, seed), json.dumps(document, indent=1, allow_nan=False) + "\n"
        )

    def _path(self, method: str, seed: int) -> Path:
        return self.folder / f"{method}-seed{seed}.json"


@dataclass(frozen=True)
class Unit:
    """Work that is done at once: one method with one seed, or several that share trainings."""

    methods: tuple[str, ...]
    seed: int


def finish(
    units: Iterable[Unit],
    kept: KeptRuns,
    work: Callable[[Unit], Mapping[str, Row]],
    jobs: int,
    watch: Watch,
) -> list[Row]:
    """Do what is not done yet; the rows of all units, in their order.

    Parameters
    ----------
    units
        What is wanted.
    kept
        Where finished runs are.
    work
        From a unit to a row for each of its methods; it goes to other processes if ``jobs`` is not
        1, and so do its errors, which end the job with what is finished kept.
    jobs
        Units at once, sharing the cores; -1 for one on each core, or on each worker of a cluster.
    watch
        Hears of each.
    """
    units = list(units)
    left = [unit for unit in units if not all(kept.has(name, unit.seed) for name in unit.methods)]
    if len(left) < len(units):
        watch.say(f"{len(units) - len(left)} of {len(units)} runs are finished already")
    watch.stage("Running", 0.0)
    results = each_finished(_do, ((unit, kept, work) for unit in left), jobs)
    for done, (position, found) in enumerate(results, 1):
        unit = left[position]
        for name in unit.methods:
            if not kept.has(name, unit.seed):  # it lies on the disk of another machine
                kept.write(name, unit.seed, found[name])
        told = (f"seed {unit.seed}, {name}: {found[name][_TOLD]}" for name in unit.methods)
        watch.say("; ".join(told))
        watch.stage(f"Run {done} of {len(left)}", done / len(left))
    rows = [kept.read(name, unit.seed) for unit in units for name in unit.methods]
    return [{name: value for name, value in row.items() if name != _TOLD} for row in rows]


def by_method(rows: Iterable[Row]) -> dict[str, dict[int, Row]]:
    """The rows of each method by their seed."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["seed"]] = row
    return found


def units_of(groups: Sequence[tuple[str, ...]], seeds: int) -> list[Unit]:
    """All groups of methods for the first seed, then for the next: a table is whole early."""
    return [Unit(methods, seed) for seed in range(seeds) for methods in groups]


def _do(unit: Unit, kept: KeptRuns, work: Callable[[Unit], Mapping[str, Row]]) -> Mapping[str, Row]:
    rows = work(unit)
    for name in unit.methods:
        kept.write(name, unit.seed, rows[name])
    return rows
