"""What lies in the folder of a run, written at once and read back with care."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.model import Model
from autobalance.models.factory import Factory
from autobalance.network_model import read_model
from autobalance.objectives import Objective
from autobalance.report import render_report
from autobalance.rows import write_rows
from autobalance.runs.augmented import Augmented
from autobalance.runs.readers import Reader, reader_from_state
from autobalance.search.result import Evaluation, history_rows
from autobalance.storage import DAMAGED, write_text_atomically

METRICS_FORMAT = "autobalance-metrics"
METRICS_VERSION = 2

DESIGN_FILE = "design.json"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
REPORT_FILE = "report.html"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A trained model with all it needs to read further rows.

    Parameters
    ----------
    model
        The head or the network.
    reader
        From a file to what the model takes.
    objective
        What the loss was designed for.
    """

    model: Model
    reader: Reader
    objective: Objective

    def write(self, folder: Path) -> None:
        """Write ``model.json`` and ``model.safetensors``."""
        self.model.write(folder, {**self.reader.to_state(), **self.objective.to_json()})

    @classmethod
    def read(cls, folder: Path, factory: Factory | None = None) -> SavedModel:
        """Read the model of a run; ``factory`` makes a network of the user's own code.

        Raises
        ------
        ArtifactError
            If the folder holds none, or it is damaged or newer than this version.
        """
        if not folder.is_dir():
            raise ArtifactError(
                f"{folder} is not a folder; name the one that autobalance fit wrote"
            )
        model, extra = read_model(folder, factory)
        try:
            saved = cls(model, reader_from_state(extra), Objective.from_json(extra))
        except DAMAGED as error:
            raise ArtifactError(
                f"the model in {folder} is damaged or was not written by autobalance fit "
                f"({error!r}); fit it again"
            ) from error
        if saved.reader.shape != model.shape:
            raise ArtifactError(
                f"the model in {folder} is damaged (its encoder makes examples of shape "
                f"{saved.reader.shape}, but the model takes {model.shape}); fit it again"
            )
        return saved


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a fit leaves behind; ``augmented`` if the designed loss has a policy."""

    saved: SavedModel
    design: LossDesign
    metrics: dict[str, Any]
    history: tuple[Evaluation, ...]
    augmented: Augmented | None = None

    def write(self, folder: Path) -> None:
        """Write every file of the run into an empty folder.

        Raises
        ------
        ArtifactError
            If the folder cannot be written, or a label cannot be in a text file.
        """
        rows = history_rows(self.history, self.design.counts)
        try:
            self.saved.write(folder)
            self.design.save(folder / DESIGN_FILE)
            write_text_atomically(
                folder / METRICS_FILE,
                json.dumps(self.metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
            )
            write_rows(folder / HISTORY_FILE, rows)
            shown = None
            if self.augmented is not None:
                self.augmented.write(folder)
                shown = self.augmented.to_plain()
            report = render_report(self.metrics, self.design, rows, shown)
            write_text_atomically(folder / REPORT_FILE, report)
        except UnicodeEncodeError as error:
            raise ArtifactError(
                f"cannot write the run ({error.reason}: {error.object[error.start]!r}); "
                "replace that character in the labels"
            ) from error


def read_design(folder: Path, model: Model) -> LossDesign:
    """Read the designed loss of a run, which knows the groups and their counts.

    Raises
    ------
    ArtifactError, DesignError
        If it is missing, damaged, newer than this version, or belongs to another model.
    """
    path = folder / DESIGN_FILE
    design = LossDesign.load(path)
    if design.counts.classes != model.classes:
        raise ArtifactError(
            f"{path} names other classes than the model beside it; restore both from the same run"
        )
    return design
