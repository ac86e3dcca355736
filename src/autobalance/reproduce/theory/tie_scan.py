"""Additive adjustments tried at a near tie of two classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.reproduce.theory.near_tie import N_CLASSES, NearTie, near_tie
from autobalance.reproduce.theory.population import (
    closed_form,
    least_risk,
    normalised,
    of_least_norm,
)

SCAN = np.linspace(-1.0, 1.0, 21)


@dataclass(frozen=True)
class Case:
    """One distribution and one loss, up to the additive adjustment of class 1.

    Parameters
    ----------
    objective, gamma, epsilon, seed
        Of the distribution; the seed draws class shares, weights and the other classes' δ.
    distribution
        Points and likelihoods.
    weight, multiplicative
        w and δ.
    """

    objective: str
    gamma: float
    epsilon: float
    seed: int
    distribution: NearTie
    weight: Float[ndarray, "K"]
    multiplicative: Float[ndarray, "K"]

    @property
    def pair(self) -> tuple[float, float]:
        """δ of the two classes."""
        return float(self.multiplicative[0]), float(self.multiplicative[1])

    @property
    def distinct(self) -> bool:
        """Whether the two δ differ."""
        return self.pair[0] != self.pair[1]

    @property
    def consistent(self) -> Float[ndarray, "K"]:
        """The additive adjustment l = log(w / c), which is right for equal δ."""
        return np.asarray(np.log(self.weight / self.distribution.factor))


@dataclass(frozen=True)
class Finding:
    """What minimising the risk of a case gave.

    Parameters
    ----------
    case
        What was minimised.
    steps
        What was added to l_1 of :attr:`Case.consistent`; the last entry is 0.
    gaps
        f_1 − f_2 at x_1 and x_2 for each step, with appendix D's constant.
    miss
        Largest distance of a score from the closed form.
    room, room_of_least_norm
        With appendix D's constant, and with the one of the least norm.
    """

    case: Case
    steps: Float[ndarray, "M"]
    gaps: Float[ndarray, "M 2"]
    miss: float
    room: float
    room_of_least_norm: float

    @property
    def right(self) -> list[int]:
        """At how many of the two points the decision is right, for each step."""
        wanted = np.array(self.case.distribution.first_is_right)
        return [int(count) for count in ((self.gaps > 0) == wanted).sum(1)]

    @property
    def row(self) -> Mapping[str, Any]:
        """Everything as plain values."""
        return {
            "objective": self.case.objective,
            "gamma": self.case.gamma,
            "epsilon": self.case.epsilon,
            "seed": self.case.seed,
            "delta": list(self.case.pair),
            "steps": self.steps.tolist(),
            "gaps": self.gaps.tolist(),
            "right": self.right,
            "miss": self.miss,
            "room": self.room,
            "room_of_least_norm": self.room_of_least_norm,
        }


def make_case(
    objective: str, gamma: float, epsilon: float, pair: tuple[float, float], seed: int
) -> Case:
    """Draw shares, weights and the other δ, and put the tie where these two δ go wrong."""
    random = np.random.default_rng(seed)
    first, second = random.uniform(0.05, 0.1, 2)
    weight = np.exp(random.uniform(-0.7, 0.7, N_CLASSES))
    multiplicative = np.full(N_CLASSES, pair[0])
    if pair[0] != pair[1]:
        multiplicative = np.array([*pair, *random.uniform(0.5, 1.5, N_CLASSES - 2)])
    upper = pair[0] > pair[1]  # then the first term is smaller at x_1, where class 1 is right
    distribution = near_tie(objective, gamma, epsilon, first, second, upper=upper)
    return Case(objective, gamma, epsilon, seed, distribution, weight, multiplicative)


def find(case: Case) -> Finding:
    """Minimise the risk for a scan of l_1 that takes in the thresholds of both points."""
    weighted = case.distribution.weighted(case.weight)
    delta = case.multiplicative
    (scores,) = closed_form(weighted, case.consistent[None], delta[None])
    thresholds = delta[0] * (scores[:2, 0] - scores[:2, 1])
    reach = 1.5 * abs(thresholds[0] - thresholds[1])
    steps = np.append(thresholds.mean() + reach * SCAN, 0.0)
    additive = np.tile(case.consistent, (len(steps), 1))
    additive[:, 0] += steps
    minimal = least_risk(
        case.distribution.mass, case.distribution.likelihood, case.weight, additive, delta
    )
    found, least = normalised(minimal, additive, delta), of_least_norm(minimal, delta)
    expected = closed_form(weighted, additive, delta[None])
    gaps = found[:, :2, 0] - found[:, :2, 1]
    return Finding(
        case,
        steps,
        gaps,
        float(np.abs(found - expected).max()),
        _room(case, gaps),
        _room(case, least[:, :2, 0] - least[:, :2, 1]),
    )


def _room(case: Case, gaps: Float[ndarray, "M 2"]) -> float:
    """The gap where class 1 is right less the one where class 2 is: the largest over all l."""
    first_at = case.distribution.first_is_right.index(True)
    return float((gaps[:, first_at] - gaps[:, 1 - first_at]).max())
