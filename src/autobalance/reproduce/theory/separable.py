"""Separable points of a rare and a frequent class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

Pair = tuple[float, float]
"""A value for the positive class, the minority, and one for the negative class."""


class Points(NamedTuple):
    """Points and their labels, 1 for the minority and −1 for the majority."""

    points: Float[ndarray, "N D"]
    labels: Integer[ndarray, "N"]

    def by_class(self, values: Pair) -> Float[ndarray, "N"]:
        """The value of each point's class."""
        return np.where(self.labels > 0, *values)


def separable_points(
    seed: int, dimension: int, minority: int, majority: int, gap: float = 0.5
) -> Points:
    """Normal points, each moved to its class's side of a random plane through the origin.

    Parameters
    ----------
    seed
        Of plane and points.
    dimension
        Coordinates of a point.
    minority, majority
        Points of each class.
    gap
        How far from the plane every point is at least.
    """
    random = np.random.default_rng(seed)
    labels = np.repeat([1, -1], [minority, majority])
    normal = random.normal(size=dimension)
    normal /= np.linalg.norm(normal)
    points = random.normal(size=(len(labels), dimension))
    along = points @ normal
    moved = labels * (np.abs(along) + gap) - along
    return Points(points + np.outer(moved, normal), labels)
