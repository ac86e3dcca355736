"""Runs on Waterbirds: how one is done, and where finished ones lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from autobalance import __version__
from autobalance.reproduce.groups.data import WATERBIRDS, GroupedFeatures, read_features
from autobalance.reproduce.groups.fronts import FRONTS, methods_of
from autobalance.reproduce.groups.lab import FOLDS, REPEATS, GroupLab
from autobalance.reproduce.groups.measure import measured
from autobalance.reproduce.groups.methods import OBJECTIVE, Method, PostHocOnScored
from autobalance.reproduce.groups.rows import METHODS
from autobalance.reproduce.request import Request
from autobalance.reproduce.runs import KeptRuns, Row, Unit, finish, units_of
from autobalance.runs.watch import Watch

COLUMNS: Mapping[str, str] = {"balanced": "Balanced", "worst": "Worst cell", "deo": "DEO"}
"""The published columns by their metrics."""
_BY_KEY: Mapping[str, Method | PostHocOnScored] = {
    **METHODS,
    **{method.key: method for front in FRONTS for method in methods_of(front).values()},
}


@dataclass(frozen=True)
class Heads:
    """Fits one method and scores it."""

    data_dir: Path

    def __call__(self, unit: Unit) -> dict[str, Row]:
        """The row."""
        (key,) = unit.methods
        data, lab, method = _read(self.data_dir), _lab(self.data_dir, unit.seed), _BY_KEY[key]
        if isinstance(method, PostHocOnScored):
            fitted = method.fit_on_scored(lab, data.test)
        else:
            fitted = method.fit(lab)
        row = measured(data.test, data.counts, data.test.predictions(fitted.predict))
        told = ", ".join(f"{name.lower()} {row[metric]:.1f}%" for metric, name in COLUMNS.items())
        return {key: {**row, "seconds": fitted.seconds, **fitted.facts, "told": told}}


def run_heads(request: Request, keys: Sequence[str], seeds: int, watch: Watch) -> list[Row]:
    """The rows of these methods for all seeds, from finished runs as far as there are any."""
    assert request.data_dir is not None  # the reproduction asks for it
    data = _read(request.data_dir)
    settings = {
        "autobalance": __version__,
        "features": data.backbone,
        "digest": data.digest,
        "objective": OBJECTIVE,
        "folds": [FOLDS, REPEATS],
    }
    kept = KeptRuns(request.out / "runs", WATERBIRDS, settings)
    units = units_of([(key,) for key in keys], seeds)
    return finish(units, kept, Heads(request.data_dir), request.jobs, watch)


def read(request: Request) -> GroupedFeatures:
    """The data, read once in a process."""
    assert request.data_dir is not None  # the reproduction asks for it
    return _read(request.data_dir)


@lru_cache(maxsize=1)
def _read(data_dir: Path) -> GroupedFeatures:
    return read_features(data_dir)


@lru_cache(maxsize=1)
def _lab(data_dir: Path, seed: int) -> GroupLab:
    data = _read(data_dir)
    return GroupLab(data.train, data.counts, seed)
