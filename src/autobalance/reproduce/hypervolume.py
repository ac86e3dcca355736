"""How good a front of two errors is, as one number."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other is better than in one error and as good in the other, sorted."""
    kept: list[Point] = []
    for point in sorted(set(points)):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area that points dominate, below and left of a reference; both errors are to be small.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the
    strength Pareto approach", *IEEE Transactions on Evolutionary Computation* 3, 1999. For two
    errors it is a sum of rectangles along the front.

    Parameters
    ----------
    points
        Pairs of errors; those that are not below the reference in both add nothing.
    reference
        The worst that still counts, the same for all fronts that are compared.
    """
    area, height = 0.0, reference[1]
    for across, up in front([p for p in points if p[0] < reference[0] and p[1] < reference[1]]):
        area += (reference[0] - across) * (height - up)
        height = up
    return area
