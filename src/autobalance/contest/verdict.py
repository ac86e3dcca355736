"""The verdict: the simplest contender whose error is not distinguishable from the best.

There are three degrees of simplicity: plain cross-entropy; a loss that is a formula of the counts,
with at most two tuned strengths, or a tuned post-hoc bias; and a designed loss. Within a degree
there is nothing to be gained by taking a worse one, so the lowest error decides.

Every contender predicts the same left-out examples, so errors are compared pair by pair: the
interval of a difference resamples the examples within their cells, with what two contenders get
wrong together cancelling. For cross-validated errors of stable procedures such intervals are
asymptotically exact (Bayle, Bayle, Janson and Mackey, "Cross-validation confidence intervals for
test error", NeurIPS 2020).

A gain is claimed for the designed loss only if it has the lowest error *and* its interval against
every simpler contender excludes zero. That is an intersection-union test: however many contenders
there are, a false claim is no more likely than against the single one that is truly as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autobalance.bootstrap import Estimate
from autobalance.contest.contenders import BASELINE, DECISION_RULE, OURS
from autobalance.contest.outer import Contender, OuterPredictions
from autobalance.evaluation import Evaluator

OUTER_FOLDS = "outer folds"
UNTOUCHED_PART = "untouched part"
_DESIGNED = "designed"


@dataclass(frozen=True)
class Standing:
    """How one contender did on the examples left out.

    Parameters
    ----------
    name, kind
        Which contender.
    fitted
        How many numbers it fits on held-out data, beside the ridge.
    error
        The objective's error rate.
    minus_ours, minus_best
        Paired differences to the designed loss and to the contender of the lowest error; ``None``
        for these two themselves.
    """

    name: str
    kind: str
    fitted: int
    error: Estimate
    minus_ours: Estimate | None
    minus_best: Estimate | None

    @property
    def distinguishable(self) -> bool:
        """Whether its error is above the best one's beyond chance."""
        return self.minus_best is not None and self.minus_best.low > 0

    def to_json(self) -> dict[str, Any]:
        """An entry of the verdict in the metrics file."""
        return {
            "name": self.name,
            "kind": self.kind,
            "fitted": self.fitted,
            "value": self.error.value,
            "interval": self.error.interval,
            "difference": _estimate(self.minus_ours),
            "to_best": _estimate(self.minus_best),
            "distinguishable": self.distinguishable,
        }


@dataclass(frozen=True)
class Verdict:
    """Which contender to keep, and on what evidence.

    Parameters
    ----------
    recommended
        The best contender of the simplest degree that has one not distinguishable from the best.
    best
        The one of the lowest error.
    standings
        Every contender, the designed loss first, and what is shown beside them.
    parts
        Outer training parts; 1 is a single untouched part.
    examples, rarest
        Left-out examples that the errors are measured on, and those of the rarest cell that the
        objective takes: with few of them, much that is better cannot be told to be.
    """

    recommended: str
    best: str
    standings: tuple[Standing, ...]
    parts: int
    examples: int
    rarest: int

    @property
    def gain(self) -> bool:
        """Whether the designed loss is better than every simpler contender beyond chance."""
        return self.recommended == OURS

    @property
    def basis(self) -> str:
        """What the errors were measured on."""
        return OUTER_FOLDS if self.parts > 1 else UNTOUCHED_PART

    def __getitem__(self, name: str) -> Standing:
        """The standing of a contender."""
        return next(standing for standing in self.standings if standing.name == name)

    def to_json(self) -> dict[str, Any]:
        """The verdict in the metrics file, less its wording."""
        return {
            "basis": self.basis,
            "folds": self.parts,
            "examples": self.examples,
            "rarest": self.rarest,
            "best": self.best,
            "recommended": self.recommended,
            "gain": self.gain,
            "methods": [standing.to_json() for standing in self.standings],
        }


def judge(evaluator: Evaluator, predictions: OuterPredictions) -> Verdict:
    """Compare the contenders on the examples left out.

    Parameters
    ----------
    evaluator
        Holds those examples, in the order of ``predictions.row``.
    predictions
        What every contender predicts for them.
    """
    contenders = predictions.contenders
    errors = {
        name: evaluator.objective_estimate(contender.codes)
        for name, contender in contenders.items()
    }
    simplest_first = sorted(
        (name for name, contender in contenders.items() if contender.kind != DECISION_RULE),
        key=lambda name: (_degree(name, contenders[name]), errors[name].value),
    )
    best = min(simplest_first, key=lambda name: errors[name].value)

    def minus(name: str, other: str) -> Estimate | None:
        if name == other:
            return None
        return evaluator.paired_difference(contenders[name].codes, contenders[other].codes)

    standings = {
        name: Standing(
            name,
            contender.kind,
            contender.fitted,
            errors[name],
            minus(name, OURS),
            minus(name, best),
        )
        for name, contender in contenders.items()
    }
    recommended = next(name for name in simplest_first if not standings[name].distinguishable)
    return Verdict(
        recommended,
        best,
        tuple(standings.values()),
        predictions.parts,
        len(predictions.row),
        evaluator.rarest_cell,
    )


def _degree(name: str, contender: Contender) -> int:
    """0 for cross-entropy, 2 for the designed loss, 1 for what lies between."""
    if name == BASELINE:
        return 0
    return 2 if contender.kind == _DESIGNED else 1


def _estimate(estimate: Estimate | None) -> Mapping[str, Any] | None:
    return None if estimate is None else {"value": estimate.value, "interval": estimate.interval}
