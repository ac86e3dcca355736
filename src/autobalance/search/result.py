"""What a search returns: the design, how it got there, and whether it got there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.design import LossDesign

START_KEPT = "start kept"
"""Status of a search that found nothing better than its start."""


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
