"""The searches that are compared, each with what it asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from sklearn.model_selection import PredefinedSplit
from torch import Tensor, nn

from autobalance.design import LossDesign
from autobalance.estimators import AutoBalanceClassifier
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import Designed, values
from autobalance.reproduce.images.settings import Upper
from autobalance.search.online import OnlineSearch
from autobalance.training.plan import SearchPlan
from benchmarks.long_tail.lab import Lab
from benchmarks.long_tail.methods import designed, plan

Row = dict[str, Any]

LOGIT_ADJUSTMENT = "logit adjustment"
_STARTED = "logit-adjustment"
_LOSS = ("weight", "additive", "multiplicative")
_MOVES = 40
_FOLDS = 3
DRAWN = "weights that draw and do not multiply"


class Variant(Protocol):
    """A way to a design, or a few that share a search."""

    question: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of its rows."""

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """What was found, by name."""


@dataclass(frozen=True)
class Fixed:
    """A closed form."""

    question: str
    name: str
    design: Callable[[Lab], LossDesign]

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """Without a search."""
        return {self.name: self.design(lab)}


@dataclass(frozen=True)
class Searched:
    """One search, and its end; with ``averaged``, also its mean α over the last half of the moves.

    Parameters
    ----------
    question, name
        What it asks, and what it is called.
    how
        The search.
    averaged
        Name of the row of the mean.
    """

    question: str
    name: str
    how: Designed
    averaged: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """One row, or two."""
        return (self.name, self.averaged) if self.averaged else (self.name,)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """After the last move, and on average."""
        search = self.how.search(lab)
        found = {self.name: search.design()}
        if self.averaged:
            found[self.averaged] = search.space.design(mean_alpha(search))
        return found


@dataclass(frozen=True)
class Drawn:
    """Another variant, with weights that draw examples and do not multiply."""

    variant: Fixed | Searched
    question: str = DRAWN

    @property
    def names(self) -> tuple[str, ...]:
        """The other's, marked."""
        return tuple(f"{name}, drawn" for name in self.variant.names)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """The other's, in a lab that draws."""
        found = self.variant.designs(lab)
        return {f"{name}, drawn": design for name, design in found.items()}


@dataclass(frozen=True)
class CrossFitted:
    """A search on each of a few folds, and the mean of what they moved."""

    question: str
    name: str
    how: Designed

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """The loss at the mean α."""
        searches = [self.how.search(lab, parts=parts) for parts in lab.folds(_FOLDS)]
        alpha = np.mean([search.alpha.vector for search in searches], 0)
        return {self.name: searches[0].space.design(alpha)}


@dataclass(frozen=True)
class Foreseeing:
    """A search that trains on everything and holds out the very images that are scored.

    No one has those. It tells how much of what a search does not gain is due to few held-out ones.
    """

    question: str
    name: str
    how: Designed

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """After the last move."""
        parts = lab.everything, torch.arange(len(lab.scored))
        search = self.how.search(lab, parts=parts, held_out_from=lab.scored)
        return {self.name: search.design()}


@dataclass(frozen=True)
class OnFeatures:
    """The exact search on a head, with the features of a network that was trained on the split."""

    question: str
    name: str
    parameters: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One row."""
        return (self.name,)

    def designs(self, lab: Lab) -> dict[str, LossDesign]:
        """Searched on the same held-out examples as the others."""
        model = lab.train(lab.preset(_STARTED), lab.parts[0])
        features = penultimate(model, lab.examples.inputs)
        fold = np.full(len(features), -1)
        fold[lab.parts[1].numpy()] = 0
        head = AutoBalanceClassifier(
            "balanced",
            parameters=self.parameters,
            start=_STARTED,
            cv=PredefinedSplit(fold),
            standardise=False,
            required_gain=None,
            verdict=None,
            random_state=lab.seed,
        ).fit(features, lab.examples.targets.numpy())
        return {self.name: head.designed_}


def run(variant: Variant, lab: Lab) -> list[Row]:
    """Search, then train on everything with what was found; the seconds are those of the search."""
    started = time.perf_counter()
    if isinstance(variant, Drawn):
        lab = lab.drawing()
    designs = variant.designs(lab)
    seconds = time.perf_counter() - started
    return [
        {
            "question": variant.question,
            "variant": name,
            **lab.score(lab.network(lab.train(design))),
            "search_seconds": round(seconds, 1),
            "design": values(design),
        }
        for name, design in designs.items()
    ]


def mean_alpha(search: OnlineSearch) -> Float[ndarray, "A"]:
    """Over the last half of the moves."""
    course = [move.alpha for move in search.history]
    return np.mean(course[len(course) // 2 :], 0)


@torch.no_grad()
def penultimate(model: nn.Module, images: Tensor) -> Float[ndarray, "N D"]:
    """What the network's last layer sees of images, in evaluation mode."""
    scaling, network = model
    model.eval()
    parts = [network.blocks(scaling(part)).flatten(1).cpu() for part in images.split(512)]
    return torch.cat(parts).numpy()


def _searched(
    question: str,
    name: str,
    parameters: tuple[str, ...] = _LOSS,
    averaged: str = "",
    **changes: Any,
) -> Searched:
    return Searched(question, name, _search(name, parameters, **changes), averaged)


def _weighted(lab: ImageLab, share: float) -> LossDesign:
    return lab.preset("weighted-adjustment", share=share)


def _search(name: str, parameters: tuple[str, ...], **changes: Any) -> Designed:
    return designed(name, *parameters, **{"dictionary": "class", "plan": plan(), **changes})


def _with(moves: int = _MOVES, **changes: Any) -> SearchPlan:
    """The plan with other values of its own, or of its settings."""
    own = {name: changes.pop(name) for name in ("warm_up", "batch_size") if name in changes}
    return replace(plan(moves, **changes), **own)


WHAT, SHARED, RATE = "what is searched", "which classes share a value", "rate and moves of α"
BATCH, WHEN, AVERAGE = "held-out batch", "start of the search", "averaging α"
PULL, SIGMA, LOSS = "pull towards the start", "parametrisation of δ", "held-out loss"
FOLDS, FEATURES, CLOSED = "held-out data", "another search", "closed forms"
ADDITIVE, BOTH = ("additive",), ("additive", "multiplicative")

_WEIGHTED = tuple(
    Fixed(
        CLOSED,
        f"w ∝ π^-{share:g}, l = {1 - share:g} log π",
        partial(_weighted, share=share),
    )
    for share in (0.15, 0.3, 0.5, 1.0)
)

VARIANTS: tuple[Variant, ...] = (
    Fixed(CLOSED, LOGIT_ADJUSTMENT, lambda lab: lab.preset(_STARTED)),
    Fixed(CLOSED, "VS, γ = 0.05", lambda lab: lab.preset("vs", gamma=0.05)),
    *_WEIGHTED,
    *(Drawn(each) for each in _WEIGHTED),
    *(
        Drawn(
            _searched(
                "",
                f"emphasis along log π from s = {share:g} at {rate:g}, after {after:.0%}",
                parameters=("emphasis",),
                start=partial(_weighted, share=share),
                dictionary="log-prior",
                plan=_with(rate=rate, warm_up=after),
            )
        )
        for share, rate, after in ((0.0, 0.15, 0.8), (0.5, 0.15, 0.8), (0.5, 0.1, 0.4))
    ),
    _searched(WHAT, "w, l & Δ (the base below)", averaged="mean α of the last half of the moves"),
    _searched(WHAT, "l & Δ", parameters=BOTH),
    _searched(WHAT, "l", parameters=ADDITIVE),
    _searched(WHAT, "Δ", parameters=("multiplicative",)),
    _searched(WHAT, "w & l", parameters=("weight", "additive")),
    _searched(WHAT, "emphasis", parameters=("emphasis",)),
    _searched(WHAT, "emphasis & l", parameters=("emphasis", "additive")),
    _searched(SHARED, "w, l & Δ along log π", dictionary="log-prior"),
    _searched(SHARED, "w, l & Δ by clusters of 3", dictionary="cluster:3"),
    _searched(SHARED, "l & Δ along log π", parameters=BOTH, dictionary="log-prior"),
    _searched(SHARED, "emphasis along log π", parameters=("emphasis",), dictionary="log-prior"),
    *(
        _searched(
            SHARED,
            f"emphasis along log π, Adam at {rate:g}",
            parameters=("emphasis",),
            dictionary="log-prior",
            plan=_with(rate=rate),
        )
        for rate in (0.1, 0.15)
    ),
    _searched(
        SHARED,
        "emphasis & Δ along log π",
        parameters=("emphasis", "multiplicative"),
        dictionary="log-prior",
    ),
    _searched(
        SHARED,
        "emphasis, l & Δ along log π",
        parameters=("emphasis", "additive", "multiplicative"),
        dictionary="log-prior",
    ),
    _searched(RATE, "Adam at 0.02", plan=_with(rate=0.02)),
    _searched(RATE, "Adam at 0.1", plan=_with(rate=0.1)),
    _searched(RATE, "80 moves", plan=_with(moves=80)),
    *(
        _searched(RATE, f"SGD at {rate:g}", upper=Upper(rate, momentum=0.0, weight_decay=0.0))
        for rate in (1.0, 5.0)
    ),
    _searched(BATCH, "128 held-out examples", plan=_with(batch_size=128)),
    _searched(BATCH, "all held-out examples", plan=_with(batch_size=10_000)),
    _searched(WHEN, "after 10% of the epochs", plan=_with(warm_up=0.1)),
    _searched(WHEN, "after 70% of the epochs", plan=_with(warm_up=0.7)),
    *(
        _searched(
            WHEN,
            f"emphasis along log π at {rate:g}, after {after:.0%} of the epochs",
            parameters=("emphasis",),
            dictionary="log-prior",
            plan=_with(rate=rate, warm_up=after),
        )
        for rate, after in ((0.05, 0.7), (0.1, 0.7), (0.1, 0.8), (0.15, 0.8))
    ),
    *(
        _searched(
            WHEN,
            f"{what} at 0.15, after 80%",
            parameters=parameters,
            dictionary=dictionary,
            plan=_with(rate=0.15, warm_up=0.8),
        )
        for what, parameters, dictionary in (
            ("emphasis & Δ along log π", ("emphasis", "multiplicative"), "log-prior"),
            ("emphasis & l & Δ along log π", ("emphasis", *BOTH), "log-prior"),
            ("l & Δ by class", BOTH, "class"),
        )
    ),
    _searched(PULL, "pull of 0.01", plan=_with(pull=0.01)),
    _searched(PULL, "pull of 0.1", plan=_with(pull=0.1)),
    _searched(SIGMA, "δ = σ(Δ)", parametrisation="sigmoid"),
    _searched(LOSS, "smooth error", plan=_with(held_out_loss="error")),
    _searched(LOSS, "temperature as it comes", plan=_with(profile_temperature=False)),
    *(
        Foreseeing(
            FOLDS,
            f"the scored images themselves: {what}",
            _search("", parameters, dictionary=dictionary),
        )
        for what, parameters, dictionary in (
            ("emphasis along log π", ("emphasis",), "log-prior"),
            ("w, l & Δ by class", _LOSS, "class"),
        )
    ),
    CrossFitted(FOLDS, f"{_FOLDS} folds", _search("", _LOSS)),
    OnFeatures(FEATURES, "exact, on features of the network: w, l & Δ", _LOSS),
)
