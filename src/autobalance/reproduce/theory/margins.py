r"""Support vector machines with a margin, or a ball around the points, for each class.

Two problems are solved for points :math:`x_i` with labels :math:`y_i = \pm 1` and scores
:math:`\theta^T x + b`. The cost-sensitive machine of appendix E, (E.4), is

.. math:: \min \|\theta\| \quad \text{subject to} \quad y_i (\theta^T x_i + b) \ge m_i

with :math:`m_i = 1/\Delta_{y_i}`. The machine on balls of radius :math:`\varepsilon_i`, (E.3), is

.. math:: \min \|\theta\| \quad \text{subject to} \quad
          y_i (\theta^T x_i + b) - \varepsilon_i \|\theta\| \ge 1.

The first is a quadratic program and the second a second-order cone program. Appendix E has b = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.optimize import minimize, nnls

from autobalance.errors import DataError

_MOST_STEPS = 1000
_SLACK = 1e-7
"""Violation of a constraint that counts as none, in units of the margin 1."""


@dataclass(frozen=True)
class Boundary:
    """The linear boundary θᵀx + b = 0."""

    normal: Float[ndarray, "D"]
    offset: float = 0.0

    def distances(
        self, points: Float[ndarray, "N D"], labels: Integer[ndarray, "N"]
    ) -> Float[ndarray, "N"]:
        """Distances of the points from the boundary, negative on the wrong side."""
        scores = labels * (points @ self.normal + self.offset)
        return np.asarray(scores / np.linalg.norm(self.normal))


def cosine(first: Float[ndarray, "D"], second: Float[ndarray, "D"]) -> float:
    """The cosine of the angle between two vectors."""
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def cost_sensitive_svm(
    points: Float[ndarray, "N D"],
    labels: Integer[ndarray, "N"],
    margins: Float[ndarray, "N"],
    *,
    intercept: bool = False,
) -> Boundary:
    """Solve (E.4) for margins m > 0; m = 1 everywhere is the ordinary hard-margin machine.

    With an intercept the constraints say of every pair of a positive and a negative point that
    θᵀ(x_i − x_j) ≥ m_i + m_j, and b is free within what remains. So if the margins are one value
    for each class, the direction of θ does not depend on them.

    Raises
    ------
    DataError
        If no boundary separates the classes.
    """
    if not intercept:
        return Boundary(_least_norm(labels[:, None] * points, margins))
    positive, negative = labels > 0, labels < 0
    pairs = points[positive][:, None] - points[negative]
    needed = margins[positive][:, None] + margins[negative]
    normal = _least_norm(pairs.reshape(-1, points.shape[1]), needed.ravel())
    scores = points @ normal
    return Boundary(normal, float((margins[positive] - scores[positive]).max()))


def _least_norm(rows: Float[ndarray, "M D"], least: Float[ndarray, "M"]) -> Float[ndarray, "D"]:
    """The smallest θ with ``rows @ θ >= least``.

    Non-negative least squares solves it exactly: with u ≥ 0 minimising ‖rowsᵀ u‖² + (least·u − 1)²,
    θ is −rowsᵀu / (least·u − 1). Lawson and Hanson, Solving Least Squares Problems, 1974,
    chapter 23.
    """
    dual, _ = nnls(np.vstack([rows.T, least]), np.append(np.zeros(rows.shape[1]), 1.0))
    short = 1 - least @ dual
    normal = np.asarray(rows.T @ dual / max(short, np.finfo(float).tiny))
    _require(bool((rows @ normal >= (1 - _SLACK) * least).all()))
    return normal


def ball_svm(
    points: Float[ndarray, "N D"],
    labels: Integer[ndarray, "N"],
    radii: Float[ndarray, "N"],
    *,
    intercept: bool = False,
) -> Boundary:
    """Solve (E.3) by sequential quadratic programming, starting from the machine without balls.

    Raises
    ------
    DataError
        If no boundary separates the balls.
    """
    start = cost_sensitive_svm(points, labels, np.ones(len(labels)), intercept=intercept)
    rows = labels[:, None] * np.column_stack([points, np.full(len(labels), float(intercept))])
    dimension = points.shape[1]

    def unit(theta: Float[ndarray, "E"]) -> Float[ndarray, "E"]:
        direction = np.append(theta[:dimension], 0.0)
        return np.asarray(direction / np.linalg.norm(direction))

    def surplus(theta: Float[ndarray, "E"]) -> Float[ndarray, "N"]:
        return np.asarray(rows @ theta - radii * np.linalg.norm(theta[:dimension]) - 1)

    found = minimize(
        lambda theta: theta[:dimension] @ theta[:dimension] / 2,
        np.append(start.normal, start.offset),
        jac=lambda theta: np.append(theta[:dimension], 0.0),
        method="SLSQP",
        constraints={
            "type": "ineq",
            "fun": surplus,
            "jac": lambda theta: rows - np.outer(radii, unit(theta)),
        },
        options={"maxiter": _MOST_STEPS, "ftol": 1e-13},
    )
    _require(bool((surplus(found.x) >= -_SLACK).all()))
    return Boundary(found.x[:dimension], float(found.x[dimension]))


def _require(separated: bool) -> None:
    if not separated:
        raise DataError("no linear boundary separates the classes; use other points or radii")
