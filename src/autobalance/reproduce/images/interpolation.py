"""A design whose clusters have no edges: what the authors' code retrains with."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.design import LossDesign


def interpolated(design: LossDesign, size: int) -> LossDesign:
    """Values of clusters of classes, made piecewise linear in the frequency rank.

    A cluster's value stands at its centre; between two centres each class has a share of either,
    and beyond the outermost they stay as they are.

    Parameters
    ----------
    design
        With l and δ alike for all classes of a cluster.
    size
        C, classes in a cluster: classes sorted by count, ties by index; the last may be smaller.
    """
    per_class = design.counts.per_class
    order = np.argsort(-per_class, kind="stable")
    starts = np.arange(math.ceil(len(order) / size)) * size
    ends = np.minimum(starts + size, len(order))
    centres = (starts + ends - 1) / 2

    def smooth(table: Float[ndarray, "K G"]) -> Float[ndarray, "K G"]:
        ranked = np.column_stack(
            [np.interp(np.arange(len(order)), centres, column[order[starts]]) for column in table.T]
        )
        result = np.empty_like(table)
        result[order] = ranked
        return result

    return replace(
        design, additive=smooth(design.additive), multiplicative=smooth(design.multiplicative)
    )
