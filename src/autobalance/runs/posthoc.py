"""A correction of any model's scores: fitted on held-out rows, measured on others, written down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import softmax

from autobalance.calibration import BALANCED
from autobalance.counts import Counts
from autobalance.data.values import Coded
from autobalance.errors import DataError
from autobalance.evaluation import Evaluator, cell_codes, measurable_objectives
from autobalance.labels import Label, label_to_json
from autobalance.objectives import BoundObjective, Objective, positive_label
from autobalance.posthoc import PosthocCorrection
from autobalance.posthoc.correction import CALIBRATION, PRIOR, SCALING
from autobalance.provenance import versions_in_use
from autobalance.reliability import reliability_by_part, reliability_curve
from autobalance.report.posthoc import AFTER, BEFORE, render_posthoc
from autobalance.runs.predict import parse_prior
from autobalance.runs.scores import ScoredRows
from autobalance.runs.watch import Watch
from autobalance.search.folds import make_folds
from autobalance.storage import write_text_atomically

METRICS_FORMAT, METRICS_VERSION = "autobalance-posthoc-metrics", 1
TEST_SPLIT, CROSS_FITTED = "test split", "cross-fitted"
_PARTS = 5


@dataclass(frozen=True)
class PosthocRequest:
    """What is asked of a correction.

    Parameters
    ----------
    objective
        What should be small, or ``"calibration"``.
    kind
        ``"vector-scaling"`` (default), ``"bias"`` or ``"prior"``.
    by_group
        Whether each group is corrected in its own way.
    prior
        For the kind ``"prior"``: how often the classes occur where the model is used,
        ``"balanced"`` (default) or ``label=share,label=share``.
    positive_class
        For ``equal-opportunity``, by its text; by default the second of two.
    seed
        Of the parts and of the bootstrap.
    """

    objective: str = "balanced"
    kind: str = SCALING
    by_group: bool = False
    prior: str | None = None
    positive_class: str | None = None
    seed: int = 0

    @property
    def measured(self) -> Objective:
        """What errors are compared by; calibration has no error of its own."""
        return Objective.parse("error" if self.objective == CALIBRATION else self.objective)


@dataclass(frozen=True, eq=False)
class FinishedPosthoc:
    """The correction, and what it changed."""

    correction: PosthocCorrection
    metrics: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write ``posthoc.json``, ``metrics.json`` and ``report.html`` into an empty folder."""
        self.correction.save(folder / "posthoc.json")
        text = json.dumps(self.metrics, indent=2, ensure_ascii=False, allow_nan=False)
        write_text_atomically(folder / "metrics.json", text + "\n")
        page = render_posthoc(self.metrics, self.correction)
        write_text_atomically(folder / "report.html", page)


def correct(rows: ScoredRows, request: PosthocRequest, watch: Watch) -> FinishedPosthoc:
    """Fit a correction and measure it on rows that it was not fitted on.

    With a split it is fitted on the validation rows and measured on the test rows; rows marked
    train are only counted, for the kind ``"prior"``. Without one, every row is measured with a
    correction that was fitted on four fifths of the others, and the one that is kept is fitted on
    all of them.

    Parameters
    ----------
    rows
        That the model was not trained on, or with a split that says which.
    request
        What is asked.
    watch
        Hears what is being done.

    Raises
    ------
    DataError, ObjectiveError
        If the rows do not serve the objective.
    """
    started = time.perf_counter()
    if request.by_group and rows.g is None:
        raise DataError("a correction by group needs groups; name their column with --group")
    if request.prior is not None and request.kind != PRIOR:
        raise DataError(f"--prior is for --kind {PRIOR} only; leave one of them out")
    fit = _fitter(rows, request)
    everything = np.arange(len(rows))
    if rows.parts is None:
        used = measured = everything
        watch.stage("Fitting the correction")
        correction = fit(everything)
        watch.stage("Measuring it by cross-fitting")
        corrected = _cross_fitted(rows, fit, request)
    else:
        used, measured = rows.parts["validation"], rows.parts["test"]
        watch.stage("Fitting the correction")
        correction = fit(used)
        watch.stage("Measuring it")
        corrected = _apply(correction, rows, measured)
    return FinishedPosthoc(
        correction,
        {
            "format": METRICS_FORMAT,
            "version": METRICS_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": Path(rows.source).name,
            "scores": rows.kind,
            "objective": str(request.measured),
            "asked": request.objective,
            "kind": request.kind,
            "by_group": request.by_group,
            "group_columns": list(rows.group_columns),
            "basis": CROSS_FITTED if rows.parts is None else TEST_SPLIT,
            "rows": {"fitted": len(used), "measured": len(measured)},
            **_measure(rows, measured, corrected, correction, request),
            "versions": versions_in_use(),
            "seconds": time.perf_counter() - started,
        },
    )


def _counts(rows: ScoredRows, part: Int[ndarray, "M"], by_group: bool) -> Counts:
    groups = rows.g if by_group else None
    return Counts.from_codes(
        rows.y.codes[part],
        None if groups is None else groups.codes[part],
        rows.y.labels,
        None if groups is None else groups.labels,
    )


def _positive(rows: ScoredRows, request: PosthocRequest) -> Label:
    if request.positive_class is None:
        return None
    return positive_label(request.positive_class, _counts(rows, np.arange(len(rows)), False))


def _labels(coded: Coded, part: Int[ndarray, "M"]) -> ndarray:
    labels = np.empty(len(coded.labels), dtype=object)
    for code, label in enumerate(coded.labels):  # tuples would be taken for rows
        labels[code] = label
    return np.asarray(labels[coded.codes[part]])


def _fitter(
    rows: ScoredRows, request: PosthocRequest
) -> Callable[[Int[ndarray, "M"]], PosthocCorrection]:
    """What fits a correction on some of the rows."""
    if request.kind == PRIOR:
        target = parse_prior(request.prior or BALANCED, rows.y.labels)
        trained = np.zeros(0, int) if rows.parts is None else rows.parts["train"]

        def of_prior(part: Int[ndarray, "M"]) -> PosthocCorrection:
            seen = trained if len(trained) else part
            return PosthocCorrection.for_prior(_counts(rows, seen, request.by_group), target)

        return of_prior

    def tuned(part: Int[ndarray, "M"]) -> PosthocCorrection:
        return PosthocCorrection.tuned(
            rows.logits[part],
            _labels(rows.y, part),
            None if rows.g is None else _labels(rows.g, part),
            objective=request.objective,
            kind=request.kind,
            by_group=request.by_group,
            classes=rows.y.labels,
            positive_class=_positive(rows, request),
            empty_cells="drop",
        )

    return tuned


def _apply(
    correction: PosthocCorrection, rows: ScoredRows, part: Int[ndarray, "M"]
) -> Float[ndarray, "M K"]:
    groups = None if rows.g is None or not correction.by_group else _labels(rows.g, part)
    return correction.logits(rows.logits[part], groups)


def _cross_fitted(
    rows: ScoredRows, fit: Callable[[Int[ndarray, "M"]], PosthocCorrection], request: PosthocRequest
) -> Float[ndarray, "N K"]:
    """Corrected logits of every row, by a correction that has not seen it."""
    counts = _counts(rows, np.arange(len(rows)), rows.g is not None)
    y, g = rows.y.codes, np.zeros_like(rows.y.codes) if rows.g is None else rows.g.codes
    cell = cell_codes(y, g, *counts.values.shape)
    folds = make_folds(_PARTS, rows.logits, y, y, cell, counts, np.ones(len(y)), request.seed)
    corrected = np.empty_like(rows.logits)
    for number, train in enumerate(folds.train):
        measured = folds.row[folds.fold == number]
        corrected[measured] = _apply(fit(np.flatnonzero(train)), rows, measured)
    return corrected


def _measure(
    rows: ScoredRows,
    part: Int[ndarray, "M"],
    corrected: Float[ndarray, "M K"],
    correction: PosthocCorrection,
    request: PosthocRequest,
) -> dict[str, Any]:
    """Errors and reliability before and after."""
    y, counts = rows.y.codes[part], _counts(rows, part, rows.g is not None)
    g = np.zeros_like(y) if rows.g is None else rows.g.codes[part]
    positive = _positive(rows, request)
    objective = replace(request.measured, positive_class=positive).bind(counts, empty_cells="drop")
    evaluator = Evaluator(
        y,
        g,
        counts,
        objective,
        measurable_objectives(counts, positive),
        random_state=request.seed,
    )
    before, after = rows.logits[part].argmax(axis=1), corrected.argmax(axis=1)
    difference = evaluator.paired_difference(after, before)
    probabilities = {"raw": softmax(rows.logits[part], axis=1), "corrected": softmax(corrected, 1)}
    weight = _weights(counts, objective, correction, request)[y, g]
    return {
        "classes": [label_to_json(label) for label in counts.classes],
        "groups": None if counts.groups is None else list(map(label_to_json, counts.groups)),
        "counts": counts.values.tolist(),
        "kept": AFTER,
        "methods": [
            {"name": name, **evaluator.evaluate(predicted).to_json()}
            for name, predicted in ((BEFORE, before), (AFTER, after))
        ],
        "difference": {"value": difference.value, "interval": difference.interval},
        "reliability": {
            "overall": {
                name: reliability_curve(p, y, weight).to_json() for name, p in probabilities.items()
            },
            **reliability_by_part(
                probabilities, y, g, weight, None if counts.groups is None else counts.n_groups
            ),
        },
    }


def _weights(
    counts: Counts,
    objective: BoundObjective,
    correction: PosthocCorrection,
    request: PosthocRequest,
) -> Float[ndarray, "K G"]:
    """What a row of each cell weighs, so that the cells have the shares probabilities are for.

    These are the target of a prior, in every group; the shares as they are, for calibration; and
    else those by which the objective weighs the cells.
    """
    if request.objective == CALIBRATION and request.kind != PRIOR:
        return np.ones(counts.values.shape)
    if request.kind == PRIOR:
        of_groups = counts.values.sum(axis=0) / counts.values.sum()
        share = np.array(correction.metadata["target"]) * of_groups
    else:
        frequencies = torch.from_numpy(counts.frequencies)
        share = objective.calibration_weights(frequencies).numpy()
    weight = np.zeros_like(counts.values)
    return np.asarray(np.divide(share, counts.values, out=weight, where=counts.present))
