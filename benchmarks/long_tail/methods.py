"""The rows: closed-form losses, tuned ones, LDAM-DRW, a post-hoc bias, and designed losses.

They are trained, tuned and searched by the library, as it does for the rows of table 1; what a
method tunes or searches, it does on a split of the training examples, the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autobalance.losses.ldam import LDAMLoss
from autobalance.reproduce.fitted import Fitted
from autobalance.reproduce.images.methods import (
    ClosedForm,
    CrossEntropyAndPostHoc,
    Designed,
    Row,
    Start,
    TunedForm,
)
from autobalance.reproduce.images.methods import Method as FittedMethod
from autobalance.reproduce.images.settings import Course
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.plan import SearchPlan
from benchmarks.long_tail.lab import Lab

FIXED, POST_HOC, DESIGNED = "fixed loss", "post-hoc", "designed loss"
GRID = "grid in place of the search"
_FACTS = ("trainings", "choice", "tried", "design")
_NO_ROW = "logits adjusted by the prior"


@dataclass(frozen=True)
class Method:
    """Rows of one of the library's methods, scored on the lab's images after the last epoch.

    Parameters
    ----------
    method
        Its keys are what the rows are called.
    """

    method: FittedMethod

    @property
    def names(self) -> tuple[str, ...]:
        """What its rows are called."""
        return tuple(name for name in self.method.names if name != _NO_ROW)

    def run(self, lab: Lab) -> list[dict[str, Any]]:
        """Train, predict and score."""
        fitted = self.method.fit(lab)
        return [
            {
                "method": name,
                "kind": self.method.kinds[name],
                **lab.score(fitted[name].predict),
                "seconds": round(fitted[name].seconds, 1),
                **_facts(fitted[name]),
            }
            for name in self.names
        ]


def _facts(fitted: Fitted) -> dict[str, Any]:
    facts = dict(fitted.facts)
    if "bias" in facts:
        facts["choice"] = {"bias": facts["bias"]}
    return {name: facts[name] for name in _FACTS if name in facts}


def designed(
    name: str,
    *parameters: str,
    start: Start = "logit-adjustment",
    dictionary: str = "auto",
    **course: Any,
) -> Designed:
    """A loss that is searched and then trained with; ``course`` is as the library takes it."""
    return Designed(
        name,
        name,
        DESIGNED,
        parameters=parameters,
        start=start,
        dictionary=dictionary,
        course=Course(**course),
    )


def plan(moves: int = 40, rate: float = 0.05, **settings: Any) -> SearchPlan:
    """A search from 40% of the epochs on, as in the paper, at the rate of one's choice.

    All rows but the headline search so, and most variants of ``benchmarks.search_study``.
    """
    return SearchPlan(
        warm_up=0.4, moves=moves, learning_rate=rate, settings=OnlineSettings(**settings)
    )


TRAVELLING = 0.15
"""Rate of a search that starts from cross-entropy: log π of the rarest class is 4.6 away."""
HEADLINE = "AutoBalance, emphasis from LA, late"
"""The default of the library: it searches in the last fifth of the epochs."""
EARLY = "AutoBalance, emphasis from LA"
"""The headline before, searched from 40% of the epochs on."""
PAPERS = "AutoBalance, l & Δ from LA"
_WEIGHT, _ADDITIVE, _MULTIPLICATIVE = "weight", "additive", "multiplicative"


def _row(name: str, kind: str) -> Row:
    return Row(name, name, kind)


def _closed(name: str, preset: str) -> ClosedForm:
    return ClosedForm(name, name, FIXED, loss=lambda lab: lab.preset(preset))


def _tuned(name: str, preset: str, kind: str = FIXED, **strengths: Any) -> TunedForm:
    return TunedForm(name, name, kind, preset=preset, **strengths)


def _from_cross_entropy(name: str, *parameters: str, dictionary: str = "class") -> Designed:
    return designed(
        name,
        *parameters,
        start="cross-entropy",
        dictionary=dictionary,
        plan=plan(rate=TRAVELLING),
    )


METHODS = tuple(
    Method(each)
    for each in (
        CrossEntropyAndPostHoc(
            _row("cross-entropy", FIXED),
            _row(_NO_ROW, POST_HOC),
            _row("post-hoc bias, tuned", POST_HOC),
        ),
        _closed("balanced cross-entropy", "weighted"),
        _closed("logit adjustment", "logit-adjustment"),
        _tuned("CDT, tuned", "cdt", grid={"gamma": (0.05, 0.15, 0.3)}),
        _tuned(
            "VS, tuned",
            "vs",
            start={"tau": 1.0},
            grid={"gamma": (0.0, 0.05, 0.15), "tau": (1.0, 0.75, 1.25)},
        ),
        ClosedForm(
            "LDAM-DRW", "LDAM-DRW", FIXED, loss=lambda lab: LDAMLoss(lab.counts), cosines=True
        ),
        _tuned(
            "emphasis by grid", "weighted-adjustment", GRID, grid={"share": (0.0, 0.15, 0.3, 0.5)}
        ),
        designed(HEADLINE, "emphasis"),
        designed(EARLY, "emphasis", plan=plan(rate=0.1)),
        designed(PAPERS, _ADDITIVE, _MULTIPLICATIVE, plan=plan()),
        designed("AutoBalance, w, l & Δ from LA", _WEIGHT, _ADDITIVE, _MULTIPLICATIVE, plan=plan()),
        _from_cross_entropy("AutoBalance, τ", _ADDITIVE, dictionary="log-prior"),
        _from_cross_entropy("AutoBalance, l", _ADDITIVE),
        _from_cross_entropy("AutoBalance, Δ", _MULTIPLICATIVE),
        _from_cross_entropy("AutoBalance, l & Δ", _ADDITIVE, _MULTIPLICATIVE),
    )
)
"""In the order in which they are run for a seed."""
