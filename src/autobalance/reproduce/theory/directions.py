"""Directions of machines and of trained losses on one data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autobalance.reproduce.theory.family import (
    appendix_e_loss,
    descent_cosine,
    scaled,
    two_logit_loss,
)
from autobalance.reproduce.theory.margins import ball_svm, cosine, cost_sensitive_svm
from autobalance.reproduce.theory.norm_bound import (
    augmented_risk,
    parametric_risk,
    trained_directions,
    two_logit_risk,
)
from autobalance.reproduce.theory.separable import Pair, Points

BOUNDS = tuple(10 ** (power / 2) for power in range(11))
"""Norms R."""
ADJUSTMENTS: tuple[tuple[Pair, Pair], ...] = (
    ((1.0, 1.0), (0.0, 0.0)),
    ((1.0, 1.0), (3.0, -3.0)),
    ((20.0, 0.5), (-2.0, 4.0)),
)
"""w and l."""
NODES = 256
_LIBRARY_BOUND = 2  # R = 10, where float64 still tells the losses from 0


@dataclass(frozen=True)
class Finding:
    """Cosines of one data set and one Δ.

    Parameters
    ----------
    seed, dimension, multiplicative
        What was tried.
    balls, ordinary
        Of the cost-sensitive machine with the one on balls, and with the ordinary one.
    trained
        With appendix E's loss, for each w and l, at each norm.
    augmented
        With the logistic loss on balls, at each norm.
    pair
        Of appendix E's loss with the logistic loss on balls at the largest norm, the least one.
    two_logits
        Of the ordinary machine with equation (2.1), at each norm.
    optimal
        Of the trained parameters at R = 10 with steepest descent, the least one.
    """

    seed: int
    dimension: int
    multiplicative: Pair
    balls: float
    ordinary: float
    trained: tuple[tuple[float, ...], ...]
    augmented: tuple[float, ...]
    pair: float
    two_logits: tuple[float, ...]
    optimal: float

    @property
    def row(self) -> Mapping[str, Any]:
        """Everything as plain values."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }
        return plain | {"trained": [list(each) for each in self.trained]}


def radii(multiplicative: Pair, norm: float) -> Pair:
    """Appendix E's ε, from Δ and the norm of the solution of (E.4)."""
    positive, negative = multiplicative
    return (1 / positive - 1) / norm, (1 / negative - 1) / norm


def find(data: Points, multiplicative: Pair, seed: int) -> Finding:
    """Solve both machines and train all losses on one data set."""
    margins = 1 / data.by_class(multiplicative)
    machine = cost_sensitive_svm(*data, margins).normal
    ordinary = cost_sensitive_svm(*data, np.ones_like(margins)).normal
    around = radii(multiplicative, float(np.linalg.norm(machine)))
    dimension = len(machine)
    on_balls = trained_directions(augmented_risk(data, data.by_class(around), NODES), BOUNDS)
    trained, optimal = [], []
    for weight, additive in ADJUSTMENTS:
        values = (weight, additive, multiplicative)
        directions = trained_directions(parametric_risk(data, *values), BOUNDS)
        theta = scaled(directions[_LIBRARY_BOUND], BOUNDS[_LIBRARY_BOUND])
        optimal.append(descent_cosine(appendix_e_loss(theta, data, *values), theta))
        trained.append(directions)
    two = trained_directions(two_logit_risk(data, *values), BOUNDS)
    theta = scaled(two[_LIBRARY_BOUND], BOUNDS[_LIBRARY_BOUND])
    optimal.append(descent_cosine(two_logit_loss(theta.reshape(2, -1), data, *values), theta))
    return Finding(
        seed,
        dimension,
        multiplicative,
        cosine(machine, ball_svm(*data, data.by_class(around)).normal),
        cosine(machine, ordinary),
        tuple(tuple(cosine(machine, each) for each in path) for path in trained),
        tuple(cosine(machine, each) for each in on_balls),
        min(cosine(path[-1], on_balls[-1]) for path in trained),
        tuple(cosine(ordinary, each[:dimension] - each[dimension:]) for each in two),
        min(optimal),
    )
