r"""Radii that the exact search learns on separable points make the shift that lemma 2 says.

With an intercept the machine on balls, (E.3), is the ordinary machine moved in parallel by
:math:`(\varepsilon_+ - \varepsilon_-)/2` towards the class of the smaller radius
(:mod:`~autobalance.reproduce.theory.figure2`). So if an objective wants the boundary moved by s,
the search should learn radii that differ by 2s.

The objective is the balanced cross-entropy of held-out points, which are placed such that what it
wants is known. They are symmetric about the ordinary boundary moved by s: reflected in a point on
it they change classes, so that of all parallels the one through that point is best; and reflected
along its normal they stay, so that to turn it gains nothing to first order. One number is searched,
which moves the radii apart, :math:`\varepsilon_\pm = \varepsilon_0 e^{\pm\alpha}`. Their common
size does not move a boundary.

A head with a ridge is no machine. Its norm grows like log 1/μ as the ridge μ falls, and what
separates it from the machine on balls falls like log log(1/μ) / log(1/μ): as slowly as that. A
uniform δ on the logits makes ridges below the smallest that is searched, since it is the same as μ
divided by δ². Against ever smaller ones speaks double precision, in which losses below 1e-16 are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array
from torch import Tensor

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.data.features import FeatureMatrix
from autobalance.dictionary import Dictionary
from autobalance.losses.presets import preset
from autobalance.objectives import Objective
from autobalance.policy_space import PolicySpace
from autobalance.report.wording import number
from autobalance.reproduce.outcome import Check, Line, Picture, Table
from autobalance.reproduce.theory.balls import Scene, boundary_figure
from autobalance.reproduce.theory.margins import Boundary, ball_svm, cosine, cost_sensitive_svm
from autobalance.reproduce.theory.separable import Pair, Points, separable_points
from autobalance.search.exact import ExactProblem, exact_search
from autobalance.search.folds import Folds
from autobalance.search.moved_features import Draws
from autobalance.space import RIDGE_FLOOR, SearchSpace

SHIFTS = (-0.3, 0.0, 0.3)
"""Asked for, in units of the ordinary margin, towards the majority."""
MULTIPLIERS = (1.0, 30.0, 1000.0)
REACHED, SHIFTED, COSINE = 0.005, 0.05, 0.9999
COPIES = 1024
_START = 0.5
"""Both radii at first, in units of the ordinary margin."""
_MINORITY, _MAJORITY = 6, 24
_ACROSS = np.linspace(-1.0, 3.0, 10)
"""Held-out points of the minority, in margins beyond the boundary that is asked for."""


class World(NamedTuple):
    """Separable points, their ordinary machine, and held-out points that ask for a shift."""

    data: Points
    ordinary: Boundary
    margin: float
    held_out: Float[ndarray, "M D"]

    def shift(self, boundary: Boundary) -> float:
        """How far a boundary lies from the ordinary one, in margins, towards the majority."""
        normal = self.ordinary.normal
        foot = -self.ordinary.offset * normal / (normal @ normal)
        length = float(np.linalg.norm(boundary.normal))
        return float(boundary.normal @ foot + boundary.offset) / length / self.margin


def make_world(seed: int, dimension: int, shift: float) -> World:
    """Points as in figure 2, and held-out points, the first half of them of the minority."""
    data = separable_points(seed, dimension, _MINORITY, _MAJORITY)
    ordinary = cost_sensitive_svm(*data, np.ones(len(data.labels)), intercept=True)
    length = float(np.linalg.norm(ordinary.normal))
    normal, margin = ordinary.normal / length, float(ordinary.distances(*data).min())
    centre = -(ordinary.offset / length + shift * margin) * normal
    random = np.random.default_rng(seed).normal(size=(len(_ACROSS), dimension))
    along = random - np.outer(random @ normal, normal)
    across = np.outer(_ACROSS * margin, normal)
    minority = np.vstack([across + along, across - along])
    return World(data, ordinary, margin, np.vstack([centre + minority, centre - minority]))


@dataclass(frozen=True, eq=False)
class Learned:
    """What the search made of one world.

    Parameters
    ----------
    seed, world, asked
        What was tried, and the shift that the held-out points ask for.
    multiplier
        δ, the same for both classes.
    radii
        Learned, of minority and majority, in units of the ordinary margin.
    head, before
        Boundaries of the head at these radii, and at equal ones.
    """

    seed: int
    world: World
    asked: float
    multiplier: float
    radii: Pair
    head: Boundary
    before: Boundary

    @property
    def ridge(self) -> float:
        """Of the adjusted logits δz."""
        return float(RIDGE_FLOOR / self.multiplier**2)

    @property
    def by_radii(self) -> float:
        """The shift that lemma 2 reads from the learned radii."""
        return (self.radii[0] - self.radii[1]) / 2

    @property
    def by_head(self) -> float:
        """The shift of the head's boundary."""
        return self.world.shift(self.head)

    @cached_property
    def machine(self) -> Boundary:
        """The machine on balls of the learned radii, (E.3)."""
        radii = self.world.margin * self.world.data.by_class(self.radii)
        return ball_svm(*self.world.data, radii, intercept=True)

    @property
    def row(self) -> Mapping[str, Any]:
        """Everything but the points, as plain values."""
        return {
            "part": "learned radii",
            "seed": self.seed,
            "dimension": self.world.data.points.shape[1],
            "ridge": self.ridge,
            "asked": self.asked,
            "radii": list(self.radii),
            "shift_by_radii": self.by_radii,
            "shift_of_machine": self.world.shift(self.machine),
            "shift_of_head": self.by_head,
            "shift_at_equal_radii": self.world.shift(self.before),
            "cosine": cosine(self.head.normal, self.machine.normal),
        }


def learn(seed: int, dimension: int, asked: float, multiplier: float, copies: int) -> Learned:
    """Search the radii on one world, from equal ones."""
    world = make_world(seed, dimension, asked)
    labels, held_out = world.data.labels, world.held_out
    train, M = len(labels), len(held_out)
    y = np.concatenate([labels > 0, np.repeat([True, False], M // 2)]).astype(np.int64)
    features = FeatureMatrix(
        torch.from_numpy(np.vstack([world.data.points, held_out])),
        torch.ones(train + M),
        standardise=False,  # one scale for all, so that balls stay balls
        dtype=torch.float64,
    )
    unit = float(features.scale[0]) / world.margin
    counts = Counts.from_codes(y[:train], None, ("majority", "minority"), None)
    balls = Policy.ball(np.full((2, 1), _START / unit))
    start = replace(
        preset("cross-entropy", counts),
        ridge=RIDGE_FLOOR,
        multiplicative=np.full((2, 1), multiplier),
        policy=balls,
    )
    apart = Dictionary("apart", csr_array(np.array([[-1.0], [1.0]])))
    problem = ExactProblem(
        features,
        y,
        np.zeros_like(y),
        np.ones(train + M),
        Folds(
            np.arange(train + M)[None] < train, np.zeros(M, dtype=np.int64), train + np.arange(M)
        ),
        SearchSpace(start, {}, False, policy=PolicySpace(balls, {"magnitude": apart})),
        Objective.parse("balanced").bind(counts),
        curvature_dtype=torch.float64,
        tolerance=1e-8,
        hypergradient_tolerance=1e-6,
        draws=Draws(copies),
    )
    problem.value_and_gradient(np.zeros(1))
    before = _boundary(features, problem.heads.theta[0])
    result = exact_search(problem, tolerance=1e-8)
    reach = _START * np.exp(result.alpha[0])
    radii = (float(reach), float(_START**2 / reach))
    head = _boundary(features, problem.at(result.alpha).theta[0])
    return Learned(seed, world, asked, multiplier, radii, head, before)


def _boundary(features: FeatureMatrix, theta: Float[Tensor, "K E"]) -> Boundary:
    coef, intercept = features.to_original(theta)
    return Boundary((coef[1] - coef[0]).numpy(), float(intercept[1] - intercept[0]))


def checks(found: Sequence[Learned]) -> Iterator[Check]:
    """What lemma 2 says of learned radii."""
    miss = max(abs(each.by_head - each.asked) for each in found)
    yield Check(
        f"learned radii move the head’s boundary as the held-out objective asks, at every ridge: "
        f"within {REACHED:g} ordinary margins",
        miss <= REACHED,
        f"largest miss {number(miss, 2)} of {len(found)}",
    )
    strengths = sorted({each.multiplier for each in found})
    misses = [
        max(abs(each.by_radii - each.asked) for each in found if each.multiplier == multiplier)
        for multiplier in strengths
    ]
    yield Check(
        f"half their difference is that shift, ever more nearly as the ridge falls: within "
        f"{SHIFTED:g} margins at the smallest",
        misses[-1] <= SHIFTED and misses == sorted(misses, reverse=True),
        f"largest miss {', '.join(number(each, 2) for each in misses)}",
    )
    last = [each for each in found if each.multiplier == strengths[-1]]
    shift = max(abs(each.world.shift(each.machine) - each.by_head) for each in last)
    least = min(cosine(each.machine.normal, each.head.normal) for each in last)
    yield Check(
        f"the machine on balls of the learned radii is the head there: shifts within {SHIFTED:g}, "
        f"cosine at least {COSINE:g}",
        shift <= SHIFTED and least >= COSINE,
        f"largest difference {number(shift, 2)}, least cosine 1 − {number(1 - least, 2)}",
    )
    still = max(abs(each.world.shift(each.before)) for each in last)
    yield Check(
        f"equal radii move no boundary: within {SHIFTED:g} margins of the ordinary machine’s at "
        "the smallest ridge",
        still <= SHIFTED,
        f"largest shift {number(still, 2)}",
    )


def table(found: Sequence[Learned]) -> Table:
    """Shifts asked for and made, for each ridge."""
    groups: dict[tuple[float, float], list[Learned]] = {}
    for each in found:
        groups.setdefault((each.multiplier, each.asked), []).append(each)
    lines = [
        Line(
            (
                f"{group[0].ridge:.0e}, {_signed(asked)}".replace("-", "−"),
                _range([each.radii[0] for each in group]),
                _range([each.radii[1] for each in group]),
                _range([each.by_radii for each in group]),
                _range([each.by_head for each in group]),
            )
        )
        for (_, asked), group in groups.items()
    ]
    return Table(
        "Learned radii and the shift of the boundary, in units of the ordinary margin",
        ("ridge, shift asked for", "ε₊", "ε₋", "(ε₊ − ε₋) / 2", "shift of the head"),
        tuple(lines),
        (
            f"The range over {len(found) // len(groups)} data sets. A positive shift is towards "
            "the majority.",
            "The machine on balls of the learned radii moves by (ε₊ − ε₋) / 2; the head’s norm is "
            "finite, and grows like the logarithm of one over the ridge.",
        ),
    )


def picture(found: Sequence[Learned]) -> Picture:
    """The boundaries of one data set at the smallest ridge."""
    strongest = max(each.multiplier for each in found)
    shown = [
        each
        for each in found
        if each.multiplier == strongest
        and each.seed == found[0].seed
        and each.world.data.points.shape[1] == 2
    ]
    scenes = [
        Scene(
            f"asked for {_signed(each.asked)}",
            each.world.data,
            (each.radii[0] * each.world.margin, each.radii[1] * each.world.margin),
            each.world.ordinary,
            each.head,
        )
        for each in shown
    ]
    return Picture(
        name="learned_radii",
        caption=(
            "Balls of the learned radii and the head’s boundary (solid, in the middle of the strip "
            "that they leave free), and the ordinary machine’s (dashed), for each shift that the "
            "held-out objective asks for, in ordinary margins."
        ),
        description=(
            "Scatter plots of a minority and a majority with a circle around each point. The class "
            "that the boundary shall move away from has the larger circles."
        ),
        draw=lambda width: boundary_figure(scenes, width),
    )


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


def _range(values: Sequence[float]) -> str:
    low, high = (
        f"{round(end, 3) + 0.0:.3f}".replace("-", "−") for end in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"
