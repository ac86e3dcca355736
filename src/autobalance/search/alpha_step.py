"""What the history of a search beside a training loop is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.hypergradient.estimate import Record
from autobalance.rows import Row, by_cell


@dataclass(frozen=True, eq=False)
class AlphaStep:
    """One move of the loss, or the reason why it was not made.

    Parameters
    ----------
    iteration
        Optimizer steps of the model before it.
    alpha, learning_rate
        After it.
    record
        Of the hypergradient; ``None`` where none came about.
    risks, errors
        Running means over held-out batches of each cell's loss and error rate.
    refused
        Why α stayed.
    """

    iteration: int
    alpha: Float[ndarray, "A"]
    learning_rate: float
    record: Record | None
    risks: Float[ndarray, "K G"]
    errors: Float[ndarray, "K G"]
    refused: str = ""

    def row(self, names: Sequence[str], counts: Counts) -> Row:
        """The figures to watch, with the entries of α by their names; NaN where there are none."""
        record = self.record
        return {
            "iteration": self.iteration,
            "objective": math.nan if record is None else record.value,
            "gradient_norm": math.nan if record is None else record.norm,
            "residual": math.nan if record is None else record.residual,
            "learning_rate": self.learning_rate,
            "refused": float(bool(self.refused)),
            **dict(zip(names, self.alpha.tolist(), strict=True)),
            **by_cell("risk", self.risks, counts),
            **by_cell("error", self.errors, counts),
        }

    def to_plain(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {
            "iteration": self.iteration,
            "alpha": self.alpha.tolist(),
            "learning_rate": self.learning_rate,
            "record": None if self.record is None else asdict(self.record),
            "risks": self.risks.tolist(),
            "errors": self.errors.tolist(),
            "refused": self.refused,
        }

    @classmethod
    def from_plain(cls, entry: dict[str, Any]) -> AlphaStep:
        """Read :meth:`to_plain`."""
        record = entry["record"]
        return cls(
            entry["iteration"],
            np.array(entry["alpha"]),
            entry["learning_rate"],
            None if record is None else Record(**record),
            np.array(entry["risks"]),
            np.array(entry["errors"]),
            entry["refused"],
        )
