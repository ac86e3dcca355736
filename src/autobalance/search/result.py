"""What a search returns: the design, how it got there, and whether it got there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.rows import Row, by_cell, write_rows

START_KEPT = "start kept"
"""Status of a search that found nothing better than its start."""
GONE_AHEAD = ("scout_rows", "scout_evaluations")
"""Statistics of a search that some of the rows went ahead of: how many, and how often."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the held-out objective, without penalties for constraints or shrinkage."""

    alpha: Float[ndarray, "A"]
    objective: float
    gradient_norm: float
    risks: Float[ndarray, "K G"]
    errors: Float[ndarray, "K G"]
    ridge: float
    temperature: float
    residual: float
    seconds: float
    violation: float = 0.0

    def row(self, best: float, counts: Counts) -> Row:
        """The figures to watch; ``best`` is the lowest objective up to here."""
        return {
            "seconds": self.seconds,
            "objective": self.objective,
            "best": best,
            "gradient_norm": self.gradient_norm,
            "ridge": self.ridge,
            "temperature": self.temperature,
            **by_cell("risk", self.risks, counts),
            **by_cell("error", self.errors, counts),
        }


def history_rows(history: Sequence[Evaluation], counts: Counts) -> list[Row]:
    """One row for each evaluation of a search."""
    rows = []
    best = float("inf")
    for number, evaluation in enumerate(history, start=1):
        best = min(best, evaluation.objective)
        rows.append({"evaluation": number, **evaluation.row(best, counts)})
    return rows


@dataclass(frozen=True)
class SearchResult:
    """A designed loss and the course of its search.

    Parameters
    ----------
    design
        The best design found.
    alpha
        Its short vector.
    value
        Held-out objective there (smooth, in the held-out loss, temperature profiled out). It chose
        the design, so it is optimistic.
    status
        ``"converged"``, ``"iteration limit"``, ``"stalled"`` when no step decreased further,
        ``"start kept"`` when the gain did not stand out from noise, or ``"infeasible"`` when a
        constraint is still broken.
    message
        The status in words, with what to change if anything.
    history
        Every evaluation in order; the first is the start. Of a network, the moves of its loss and
        then the design found.
    held_out_logits
        Plain logits of the held-out examples at the best design, shape (M, K), with
        ``held_out_rows`` naming the examples.
    statistics
        Seconds, curvature products, folds and the like.
    head
        Of linear heads, the mean over the folds at the best design, shape (K, E), in the basis of
        the search: where training on all the examples begins.
    """

    design: LossDesign
    alpha: Float[ndarray, "A"]
    value: float
    status: str
    message: str
    history: tuple[Evaluation, ...]
    held_out_logits: Float[ndarray, "M K"]
    held_out_rows: ndarray
    statistics: dict[str, Any] = field(default_factory=dict)
    head: Float[Tensor, "K E"] | None = None

    @property
    def start_value(self) -> float:
        """Held-out objective of the start, measured as :attr:`value` is."""
        return float(self.statistics.get("start_value", self.history[0].objective))

    @property
    def best(self) -> Evaluation:
        """The evaluation at :attr:`alpha`."""
        for evaluation in reversed(self.history):
            if np.array_equal(evaluation.alpha, self.alpha):
                return evaluation
        raise LookupError("the best evaluation is not in the history")

    def write_history(self, path: str | Path) -> None:
        """Write the course of the search as CSV, one row for each evaluation.

        Its columns are the number of the evaluation, seconds since the search began, the held-out
        objective, the best one so far, the norm of its gradient, ridge and temperature, and the
        held-out loss (``risk[class|group]``) and error rate (``error[class|group]``) of each cell.

        Raises
        ------
        ArtifactError
            If the file cannot be written.
        """
        write_rows(Path(path), history_rows(self.history, self.design.counts))
