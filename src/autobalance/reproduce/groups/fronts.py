"""The losses of figure 5 over λ: AutoBalance, and (1 − λ)·CE + λ·L_reg."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from autobalance.baselines.ce_deo import STRENGTHS, ce_deo_blend
from autobalance.baselines.direct_search import Strength
from autobalance.bench import CLOSED_FORM
from autobalance.design import LossDesign
from autobalance.losses.presets import group_la
from autobalance.reproduce.fitted import TUNED, Fitted
from autobalance.reproduce.groups.lab import GroupLab
from autobalance.reproduce.groups.methods import Exact, Method, designed
from autobalance.space import SearchSpace

LAMBDAS = (0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
"""At 0 all regularised losses are cross-entropy, and at 1 a head that always says the same is a
minimum of CE_deo. Where a front begins DEO is many times the standard error, so that its first
values are small."""


def objective_at(share: float) -> str:
    """What every loss at λ is tuned or searched for: the blend of section 4."""
    return f"{1 - share:.2f}*error+{share:.2f}*equalized-odds" if share else "error"


@dataclass(frozen=True)
class Regularised:
    """What the regularised losses at one λ, their ``share``, have in common."""

    key: str
    name: str
    share: float
    kind: str = TUNED


@dataclass(frozen=True)
class WithBalanced(Regularised):
    """(1 − λ)·CE + λ·CE_bal^G, which is a weighted cross-entropy; the ridge is tuned."""

    def fit(self, lab: GroupLab) -> Fitted:
        """Tune the ridge and train."""
        bench = lab.bench(objective_at(self.share))
        even = 1 / (lab.counts.frequencies * lab.counts.values.size)
        weight = (1 - self.share) + self.share * even
        design = replace(bench.start("cross-entropy"), weight=weight)
        head = bench.train(SearchSpace(design, {}, True), self.name, CLOSED_FORM)
        return designed(head, head.seconds)


@dataclass(frozen=True)
class WithGroupLA(Regularised):
    """(1 − λ)·CE + λ·Group-LA, a sum of two losses of the family; the ridge is tuned.

    Every example is there twice, once in its group and once in a copy of that group. With the
    values of cross-entropy for the groups and those of Group-LA for their copies, the loss of both
    together is the sum. A head says the same of an example and its copy, so the objective, in which
    the copies' cells stand beside the cells, is what it was.
    """

    def fit(self, lab: GroupLab) -> Fitted:
        """Tune the ridge and train."""
        twice = lab.doubled()
        bench = twice.bench(objective_at(self.share))
        adjusted, shape = group_la(lab.counts), lab.counts.values.shape
        design = LossDesign(
            twice.counts,
            np.hstack([np.full(shape, 1 - self.share), self.share * adjusted.weight]),
            np.hstack([np.zeros(shape), adjusted.additive]),
            np.ones(twice.counts.values.shape),
            bench.default_ridge,
        )
        head = bench.train(SearchSpace(design, {}, True), self.name, CLOSED_FORM)
        return designed(head, head.seconds)


@dataclass(frozen=True)
class WithDeo(Regularised):
    """(1 − λ)·CE + λ·CE_deo; the ridge is tuned."""

    def fit(self, lab: GroupLab) -> Fitted:
        """Tune the ridge and train."""
        strengths = dict(STRENGTHS) | {"ratio": Strength.fixed(self.share / (1 - self.share))}
        bench = lab.bench(objective_at(self.share))
        head = ce_deo_blend(bench, self.name, strengths=strengths)
        return Fitted(head.model.predict, round(head.seconds, 3), {"chosen": dict(head.strengths)})


PLAIN = WithBalanced("cross-entropy-lambda-0", "Cross-entropy", 0.0)
"""λ = 0 of every regularised loss."""

FRONTS: Mapping[str, str] = MappingProxyType(
    {
        "autobalance": "AutoBalance",
        "deo": "CE and CE_deo",
        "balanced": "CE and CE balanced over groups",
        "group-la": "CE and Group-LA",
    }
)
"""Each front's name by its key."""

_MAKERS: Mapping[str, Callable[[str, str, float], Method]] = MappingProxyType(
    {
        "autobalance": lambda key, name, share: Exact(key, name, objective_at(share)),
        "deo": WithDeo,
        "balanced": WithBalanced,
        "group-la": WithGroupLA,
    }
)


def methods_of(front: str) -> dict[float, Method]:
    """The methods of a front by their λ."""
    make = _MAKERS[front]
    found = {share: make(f"{front}-lambda-{share:g}", FRONTS[front], share) for share in LAMBDAS}
    zero = make(f"{front}-lambda-0", FRONTS[front], 0.0) if front == "autobalance" else PLAIN
    return {0.0: zero, **found}
