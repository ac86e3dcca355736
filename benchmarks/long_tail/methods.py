"""The rows: closed-form losses, tuned ones, LDAM-DRW, a post-hoc bias, and designed losses.

A method trains on everything in the end, and has its network predict the test images after the last
epoch. What it tunes or searches, it does on a split of the training examples, the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from autobalance.design import LossDesign
from autobalance.losses.ldam import LDAMLoss
from autobalance.posthoc import tune_bias
from autobalance.search.alpha import OptimizerFactory
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.examples import Examples
from autobalance.training.pipeline import add_search, own_randomness
from autobalance.training.plan import SearchPlan
from benchmarks.long_tail.lab import Lab

Row = dict[str, Any]
Tried = dict[str, dict[str, float]]

CROSS_ENTROPY, BIAS = "cross-entropy", "post-hoc bias, tuned"
FIXED, POST_HOC, DESIGNED = "fixed loss", "post-hoc", "designed loss"
GRID = "grid in place of the search"


class Method(Protocol):
    """A row of the table, or two that share their trainings."""

    @property
    def names(self) -> tuple[str, ...]:
        """What its rows are called."""

    def run(self, lab: Lab) -> list[Row]:
        """Train, predict and score."""


@dataclass(frozen=True)
class ClosedForm:
    """A loss that needs no tuning."""

    name: str
    preset: str
    arguments: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def run(self, lab: Lab) -> list[Row]:
        """Train with it."""
        started = time.perf_counter()
        design = lab.preset(self.preset, **self.arguments)
        score = lab.score(lab.test_logits(lab.train(design)))
        return [_row(self.name, FIXED, score, started, trainings=1)]


@dataclass(frozen=True)
class CrossEntropyAndBias:
    """Cross-entropy; and its network with a bias on the logits, tuned on the held-out ones.

    The bias comes from a network that has not seen the held-out examples, and goes to the one that
    was trained on everything.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Two rows."""
        return CROSS_ENTROPY, BIAS

    def run(self, lab: Lab) -> list[Row]:
        """Train on everything and on the split."""
        started = time.perf_counter()
        design = lab.preset("cross-entropy")
        logits = lab.test_logits(lab.train(design))
        plain = _row(CROSS_ENTROPY, FIXED, lab.score(logits), started, trainings=1)
        model = lab.train(design, lab.parts[0])
        bias = tune_bias(lab.held_out_risk(), lab.held_out_logits(model))
        score = lab.score(logits + torch.from_numpy(bias))
        row = _row(BIAS, POST_HOC, score, started, trainings=2, choice={"bias": bias.tolist()})
        return [plain, row]


@dataclass(frozen=True)
class TunedForm:
    """A closed form with strengths, tuned one after the other by the held-out risk.

    Parameters
    ----------
    name, preset
        The row and the loss.
    start
        The strengths that the first comparison keeps fixed.
    grid
        For each strength in turn, the values to compare; those chosen before stay.
    kind
        Of the row.
    """

    name: str
    preset: str
    start: Mapping[str, float]
    grid: Mapping[str, Sequence[float]]
    kind: str = FIXED

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def run(self, lab: Lab) -> list[Row]:
        """Train with each on the split, then with the best on everything."""
        started = time.perf_counter()
        risk = lab.held_out_risk()
        tried: dict[tuple[tuple[str, float], ...], float] = {}

        def held_out(strengths: Mapping[str, float]) -> float:
            key = tuple(strengths.items())
            if key not in tried:
                model = lab.train(lab.preset(self.preset, **strengths), lab.parts[0])
                tried[key] = float(risk(lab.held_out_logits(model)).total)
            return tried[key]

        best = dict(self.start)
        for name, values in self.grid.items():
            best = min(({**best, name: value} for value in values), key=held_out)
        design = lab.preset(self.preset, **best)
        score = lab.score(lab.test_logits(lab.train(design)))
        comparison = [{**dict(key), "held_out": value} for key, value in tried.items()]
        return [
            _row(
                self.name,
                self.kind,
                score,
                started,
                trainings=len(tried) + 1,
                choice=best,
                tried=comparison,
            )
        ]


@dataclass(frozen=True)
class DeferredMargins:
    """LDAM-DRW, with the head of cosines that it is made for."""

    name: str = "LDAM-DRW"

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def run(self, lab: Lab) -> list[Row]:
        """Train with it."""
        started = time.perf_counter()
        model = lab.train(LDAMLoss(lab.counts), cosines=True)
        return [_row(self.name, FIXED, lab.score(lab.test_logits(model)), started, trainings=1)]


@dataclass(frozen=True)
class Designed:
    """A loss that is searched while a network trains on the split, and then trained with.

    Parameters
    ----------
    name
        The row.
    parameters, start, dictionary, parametrisation, plan, optimizer
        As :func:`~autobalance.training.pipeline.add_search` takes them.
    """

    name: str
    parameters: tuple[str, ...]
    start: str = "logit-adjustment"
    dictionary: str = "auto"
    parametrisation: str = "exp"
    plan: SearchPlan = field(default_factory=SearchPlan)
    optimizer: OptimizerFactory | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def run(self, lab: Lab) -> list[Row]:
        """Search, then train with what was found."""
        started = time.perf_counter()
        design = self.search(lab).design()
        return [self.retrain(lab, design, started)]

    def search(
        self,
        lab: Lab,
        parts: tuple[torch.Tensor, torch.Tensor] | None = None,
        held_out_from: Examples | None = None,
    ) -> OnlineSearch:
        """The search at its end; what is held out is of the training examples by default."""
        train, held_out = lab.parts if parts is None else parts
        with own_randomness(lab.device):
            training = lab.training(lab.preset(self.start), train, cosines=False)
            search = add_search(
                training,
                lab.examples if held_out_from is None else held_out_from,
                held_out,
                lab.objective,
                self.plan,
                lab.seed,
                self.parameters,
                self.dictionary,
                self.parametrisation,
                self.optimizer,
            )
            training.run()
        return search

    def retrain(self, lab: Lab, design: LossDesign, started: float) -> Row:
        """The row of a design."""
        score = lab.score(lab.test_logits(lab.train(design)))
        return _row(self.name, DESIGNED, score, started, design=values(design))


def values(design: LossDesign) -> dict[str, list[float]]:
    """A design's values by class, rounded for a record."""
    return {
        name: getattr(design, name)[:, 0].round(4).tolist()
        for name in ("weight", "additive", "multiplicative")
    }


def _row(name: str, kind: str, score: Row, started: float, **facts: Any) -> Row:
    seconds = time.perf_counter() - started
    return {"method": name, "kind": kind, **score, "seconds": round(seconds, 1), **facts}


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
_ADDITIVE, _MULTIPLICATIVE = "additive", "multiplicative"


def _from_cross_entropy(name: str, *parameters: str, dictionary: str = "class") -> Designed:
    return Designed(name, parameters, "cross-entropy", dictionary, plan=plan(rate=TRAVELLING))


METHODS: tuple[Method, ...] = (
    CrossEntropyAndBias(),
    ClosedForm("balanced cross-entropy", "weighted"),
    ClosedForm("logit adjustment", "logit-adjustment"),
    TunedForm("CDT, tuned", "cdt", {}, {"gamma": (0.05, 0.15, 0.3)}),
    TunedForm(
        "VS, tuned",
        "vs",
        {"tau": 1.0},
        {"gamma": (0.0, 0.05, 0.15), "tau": (1.0, 0.75, 1.25)},
    ),
    DeferredMargins(),
    TunedForm(
        "emphasis by grid",
        "weighted-adjustment",
        {},
        {"share": (0.0, 0.15, 0.3, 0.5)},
        kind=GRID,
    ),
    Designed(HEADLINE, ("emphasis",)),
    Designed(EARLY, ("emphasis",), plan=plan(rate=0.1)),
    Designed(PAPERS, (_ADDITIVE, _MULTIPLICATIVE), plan=plan()),
    Designed("AutoBalance, w, l & Δ from LA", ("weight", _ADDITIVE, _MULTIPLICATIVE), plan=plan()),
    _from_cross_entropy("AutoBalance, τ", _ADDITIVE, dictionary="log-prior"),
    _from_cross_entropy("AutoBalance, l", _ADDITIVE),
    _from_cross_entropy("AutoBalance, Δ", _MULTIPLICATIVE),
    _from_cross_entropy("AutoBalance, l & Δ", _ADDITIVE, _MULTIPLICATIVE),
)
"""In the order in which they are run for a seed."""
