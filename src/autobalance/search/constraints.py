"""Limits on other objectives while one is minimised: L_i ≤ τ_i, by an augmented Lagrangian.

The paper leaves constraints open (appendix C, footnote 3). With h_i = L_i − τ_i the search
minimises

    L + Σ_i ρ/2 [max(0, h_i + λ_i/ρ)² − (λ_i/ρ)²],      λ_i ← max(0, λ_i + ρ h_i)

in turn, and multiplies ρ by 4 while the violation does not fall to a quarter (Nocedal and Wright,
"Numerical Optimization", 2nd ed., section 17.4). Risks and limits are in the held-out loss, after
the temperature: what the search sees. That is the smooth error rate unless cross-entropy is asked
for. The report shows the error rates beside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.labels import Label
from autobalance.objectives import BoundObjective, Objective

_FIRST_PENALTY = 10.0
_GROWTH = 4.0
_TEXT = re.compile(r"(?P<objective>.+?)<=\s*(?P<limit>[^<=]+)")


@dataclass(frozen=True)
class Constraint:
    """An objective that may not exceed, on held-out examples, ``limit``."""

    objective: Objective
    limit: float

    @classmethod
    def parse(cls, text: str, positive_class: Label = None) -> Constraint:
        """Read ``error<=0.3``: an objective, as in :meth:`Objective.parse`, and its limit.

        Raises
        ------
        ObjectiveError
            If the text is no objective and limit, or the objective is about costs.
        """
        match = _TEXT.fullmatch(text)
        try:
            limit = float(match["limit"]) if match else np.nan
        except ValueError:
            limit = np.nan
        if match is None or not 0 <= limit < np.inf:
            raise ObjectiveError(
                f"constraint {text!r} is not an objective and a limit; write error<=0.3, "
                "with the limit as an error rate"
            )
        objective = Objective.parse(match["objective"], positive_class)
        if objective.about_costs:
            raise ObjectiveError(
                f"constraint {text!r} limits costs, but limits are for error rates only; make cost "
                "the objective"
            )
        return cls(objective, limit)

    def __str__(self) -> str:
        """Text that :meth:`parse` reads back."""
        return f"{self.objective}<={self.limit!r}"

    def bind(self, counts: Counts, empty_cells: str = "error") -> BoundConstraint:
        """Tie the constraint to classes and groups, see :meth:`Objective.bind`."""
        return BoundConstraint(self.objective.bind(counts, empty_cells), self.limit)


@dataclass(frozen=True)
class BoundConstraint:
    """A constraint tied to data; made by :meth:`Constraint.bind`."""

    objective: BoundObjective
    limit: float

    def on_held_out(self, seen: Bool[ndarray, "K G"], counts: Counts) -> BoundConstraint:
        """The constraint on the cells held out, see :meth:`BoundObjective.on_held_out`."""
        return replace(self, objective=self.objective.on_held_out(seen, counts))


class AugmentedLagrangian:
    """The penalty for constraints, with multipliers that sharpen from round to round."""

    def __init__(self, constraints: Sequence[BoundConstraint], sharpness: float) -> None:
        self._constraints = tuple(constraints)
        self._sharpness = sharpness
        self._multipliers = np.zeros(len(self._constraints))
        self._penalty = _FIRST_PENALTY
        self._worst = np.inf

    def _excess(
        self, risks: Float[Tensor, "K G"], frequencies: Float[Tensor, "K G"]
    ) -> list[Float[Tensor, ""]]:
        return [
            constraint.objective.risk(risks, frequencies, self._sharpness) - constraint.limit
            for constraint in self._constraints
        ]

    def term(
        self, risks: Float[Tensor, "K G"], frequencies: Float[Tensor, "K G"]
    ) -> Float[Tensor, ""]:
        """What is added to the objective, differentiable in the risks."""
        total = risks.new_zeros(())
        for excess, multiplier in zip(
            self._excess(risks, frequencies), self._multipliers, strict=True
        ):
            shift = float(multiplier) / self._penalty
            total = total + 0.5 * self._penalty * ((excess + shift).clamp_min(0) ** 2 - shift**2)
        return total

    def violation(self, risks: Float[Tensor, "K G"], frequencies: Float[Tensor, "K G"]) -> float:
        """Largest excess over a limit, 0 if all are kept."""
        return max([0.0, *map(float, self._excess(risks, frequencies))])

    def update(self, risks: Float[Tensor, "K G"], frequencies: Float[Tensor, "K G"]) -> None:
        """Move the multipliers after a round, and the penalty if the round gained too little."""
        excess: Float[ndarray, "C"] = np.array([float(e) for e in self._excess(risks, frequencies)])
        self._multipliers = np.maximum(0.0, self._multipliers + self._penalty * excess)
        worst = max(float(excess.max()), 0.0)
        if worst > self._worst / _GROWTH:
            self._penalty *= _GROWTH
        self._worst = worst
