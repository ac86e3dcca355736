"""Reading back what a run reported, and making its page again."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.labels import label_from_json
from autobalance.report import render_report
from autobalance.runs.augmented import AUGMENTATION_FILE, read_augmented
from autobalance.runs.folder import (
    DESIGN_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    METRICS_FORMAT,
    METRICS_VERSION,
    REPORT_FILE,
)
from autobalance.storage import DAMAGED, read_json, read_text, write_text_atomically


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run wrote down about itself.

    Parameters
    ----------
    metrics
        The parsed ``metrics.json``.
    design
        The kept design.
    history
        The rows of ``history.csv``, as text.
    augmented
        The parsed ``augmentation.json``, if the designed loss has a policy.
    """

    metrics: dict[str, Any]
    design: LossDesign
    history: list[dict[str, str]]
    augmented: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the record of the run in ``folder``.

        Raises
        ------
        ArtifactError, DesignError
            If a file is missing, damaged, or of another version, or the files are not of one run.
        """
        if not folder.is_dir():
            raise ArtifactError(
                f"{folder} is not a folder; name the one that autobalance fit wrote"
            )
        metrics = _read_metrics(folder / METRICS_FILE)
        design = LossDesign.load(folder / DESIGN_FILE)
        if _labels(metrics) != (design.counts.classes, design.counts.groups):
            raise ArtifactError(
                f"{folder / DESIGN_FILE} names other classes or groups than {METRICS_FILE} beside "
                "it; restore both from the same run"
            )
        augmented = read_augmented(folder)
        if augmented is None and design.policy is not None:
            raise ArtifactError(
                f"{folder / AUGMENTATION_FILE} is missing, though {DESIGN_FILE} has a policy; "
                "restore it or run the fit again"
            )
        return cls(metrics, design, _read_history(folder / HISTORY_FILE), augmented)


def remake_report(folder: Path) -> Path:
    """Write the report of a run again and return its path.

    Parameters
    ----------
    folder
        That ``autobalance fit`` wrote.

    Raises
    ------
    ArtifactError, DesignError
        If the run cannot be read, or the folder cannot be written.
    """
    record = RunRecord.read(folder)
    path = folder / REPORT_FILE
    page = render_report(record.metrics, record.design, record.history, record.augmented)
    write_text_atomically(path, page)
    return path


def _read_metrics(path: Path) -> dict[str, Any]:
    metrics = read_json(_read_text(path), str(path), METRICS_FORMAT, METRICS_VERSION, ArtifactError)
    if metrics["version"] < METRICS_VERSION:
        raise ArtifactError(
            f"{path} has version {metrics['version']}, which this AutoBalance no longer reads; "
            "run the fit again"
        )
    return metrics


def _labels(metrics: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    try:
        groups = metrics["groups"]
        return (
            tuple(map(label_from_json, metrics["classes"])),
            None if groups is None else tuple(map(label_from_json, groups)),
        )
    except DAMAGED as error:
        raise ArtifactError(
            f"{METRICS_FILE} is damaged ({error!r}); restore it or run the fit again"
        ) from error


def _read_history(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(_read_text(path), newline="")))
    except csv.Error as error:
        raise ArtifactError(
            f"{path} is damaged ({error}); restore it or run the fit again"
        ) from error
    if not rows:
        raise ArtifactError(f"{path} holds no evaluation; restore it or run the fit again")
    return rows


def _read_text(path: Path) -> str:
    return read_text(path, ArtifactError, "restore it or run the fit again")
