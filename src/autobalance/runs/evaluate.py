"""What a saved model gets wrong on labelled rows or images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autobalance.bootstrap import Estimate
from autobalance.counts import Counts
from autobalance.data.splits import SPLITS
from autobalance.data.targets import (
    codes_of_classes,
    codes_of_groups,
    rows_to_keep,
    split_rows,
)
from autobalance.data.wording import amount
from autobalance.errors import ArtifactError, DataError
from autobalance.evaluation import Evaluation, Evaluator, cell_codes, measurable_objectives
from autobalance.labels import label_to_json
from autobalance.metrics import RankingQuality, macro_f1, ranking_quality
from autobalance.models.factory import model_factory
from autobalance.objectives import Objective
from autobalance.runs.folder import SavedModel, read_design
from autobalance.runs.rows import ROW, Rows
from autobalance.runs.watch import Watch

FORMAT = "autobalance-evaluation"
VERSION = 1
ALL_ROWS = "all"
PARTS = (*SPLITS, ALL_ROWS)


@dataclass(frozen=True, eq=False)
class RowsEvaluation:
    """Errors on rows, with intervals.

    Parameters
    ----------
    source
        Where they came from.
    rows
        Which of its rows, in words.
    objective
        What the loss was designed for.
    counts
        Training examples per cell; gives the order of classes and groups.
    examples
        Shape (K, G): rows measured on.
    evaluation
        Errors per cell, class and objective.
    macro_f1
        Mean F1 over the classes.
    ranking
        For two classes that both occur.
    """

    source: str
    rows: str
    objective: Objective
    counts: Counts
    examples: Any
    evaluation: Evaluation
    macro_f1: Estimate
    ranking: RankingQuality | None

    def to_json(self) -> dict[str, Any]:
        """The evaluation as a JSON document; errors are fractions."""
        groups = self.counts.groups
        document = {
            "format": FORMAT,
            "version": VERSION,
            "source": Path(self.source).name,
            "rows": self.rows,
            **self.objective.to_json(),
            "classes": [label_to_json(label) for label in self.counts.classes],
            "groups": None if groups is None else [label_to_json(label) for label in groups],
            "examples": self.examples.tolist(),
            **self.evaluation.to_json(),
            "summary": {
                name: _estimate(estimate) for name, estimate in self.evaluation.summary.items()
            },
            "macro_f1": _estimate(self.macro_f1),
        }
        if self.ranking is not None:
            document["average_precision"] = _estimate(self.ranking.average_precision)
            document["recall_at_precision"] = {
                "precision": self.ranking.precision,
                **_estimate(self.ranking.recall_at_precision),
            }
        return document


def evaluate_rows(
    folder: Path,
    path: Path,
    watch: Watch,
    *,
    target: str | None = None,
    features: str | None = None,
    drop_classes: tuple[str, ...] = (),
    part: str | None = None,
    precision: float = 0.9,
    seed: int = 0,
    model: str | None = None,
) -> RowsEvaluation:
    """Measure a saved model on a labelled table or on labelled images.

    Parameters
    ----------
    folder
        Of the run, which remembers the target and the groups.
    path
        The table or the images.
    watch
        Hears what is being done.
    target
        The target column, if it has another name than at the fit.
    features
        Key of the feature array of an ``.npz`` file, if it is another than at the fit.
    drop_classes
        Classes to leave out, by their text.
    part
        Which rows: a part of the split or ``"all"``. By default the test rows if the table has the
        split column of the fit and marks any, so that nobody measures on training rows unawares.
    precision
        Where recall is read off, for two classes.
    seed
        Of the bootstrap.
    model
        The import path of a network of the user's own, as at the fit: what a file names is not run.

    Raises
    ------
    AutoBalanceError
        If the folder is damaged or the rows do not fit it.
    """
    saved = SavedModel.read(folder, None if model is None else model_factory(model))
    counts = read_design(folder, saved.model).counts
    if (counts.groups is None) != (not saved.reader.columns.groups):
        raise ArtifactError(
            f"{folder} is damaged: its design and its model disagree on whether there are groups; "
            "restore both from the same run"
        )
    watch.stage(f"Reading {path.name}")
    read = saved.reader.read_labelled(path, target, features)
    rows, words = _chosen_rows(read, drop_classes, part)
    watch.stage("Measuring")
    y = codes_of_classes(rows.target, counts.classes)
    g = (
        np.zeros(len(rows), dtype=np.int64)
        if counts.groups is None or rows.groups is None
        else codes_of_groups(rows.groups, counts.groups)
    )
    objective = saved.objective
    evaluator = Evaluator(
        y,
        g,
        counts,
        objective.bind(counts, empty_cells="drop"),
        measurable_objectives(counts, objective.positive_class),
        random_state=seed,
    )
    logits = saved.model.logits(saved.reader.transform(rows.content))
    predicted = np.asarray(logits.argmax(axis=1))
    cell = cell_codes(y, g, *counts.values.shape)
    ranking = None
    if counts.n_classes == 2 and len(np.unique(y)) == 2:
        named = objective.positive_class
        positive = 1 if named is None else counts.classes.index(named)
        ranking = ranking_quality(
            y == positive,
            logits[:, positive] - logits[:, 1 - positive],
            cell,
            precision,
            random_state=seed,
        )
    examples = np.bincount(cell, minlength=counts.values.size).reshape(counts.values.shape)
    return RowsEvaluation(
        rows.source,
        words,
        objective,
        counts,
        examples,
        evaluator.evaluate(predicted),
        macro_f1(y, predicted, cell, random_state=seed),
        ranking,
    )


def _chosen_rows(rows: Rows, drop_classes: tuple[str, ...], part: str | None) -> tuple[Rows, str]:
    """The rows to measure on, and which they are in words."""
    if part not in (None, ALL_ROWS) and rows.split is None:
        raise DataError(
            f"{rows.source} has no split column to choose the {part} {rows.noun}s by; "
            f"leave --part out or use --part {ALL_ROWS}"
        )
    if drop_classes:
        rows = rows.rows(rows_to_keep(rows.target, drop_classes))
    words = f"all {amount(len(rows), rows.noun)}"
    if rows.split is not None and part != ALL_ROWS:
        name = part or "test"
        chosen = split_rows(rows.split, to_train=False)[name]
        if len(chosen) or part is not None:
            words = f"the {amount(len(chosen), f'{name} {rows.noun}')}"
            if rows.noun == ROW:  # the parts of images may be folders
                words += f" of column {str(rows.split.name)!r}"
            rows = rows.rows(chosen)
    if not len(rows):
        raise DataError(
            f"{rows.source} has no {rows.noun} to measure on ({words}); choose other {rows.noun}s"
        )
    return rows, words


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "interval": estimate.interval}
