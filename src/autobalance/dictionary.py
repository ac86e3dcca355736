"""Dictionaries: which classes or cells share a searched value, and how the default is chosen.

A dictionary is a matrix D of shape (K·G, P) that maps the short vector of searched values α to one
value per (class, group) cell, ``values = (D α).reshape(K, G)`` (section 2.2 of the paper).

=====================  =====================================================================
``class``              one column per class
``cluster:C``          one per cluster of C classes of similar count (sorted, ties by index)
``rank:M``             M hat functions: piecewise linear in the frequency rank of the class
``log-prior``          the single column log π of the classes: tunes τ of logit adjustment
``cell``, ``cell-cluster:C``, ``cell-rank:M``, ``cell-log-prior``
                       the same with (class, group) cells in the place of classes
=====================  =====================================================================
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array, eye_array, kron

from autobalance.counts import Counts
from autobalance.errors import DesignError

MIN_SUPPORT = 20
"""Held-out examples that every column of the default dictionary must see."""
MIN_EXAMPLES_PER_VALUE = 10
"""Held-out examples for each searched value, at least, with the default dictionary."""
_KNOTS = 4
_PLAIN = ("class", "cell")
_NUMBERED = ("cluster", "rank")
_NAME = re.compile(r"(?P<cell>cell-)?(?P<kind>class|cell|cluster|rank|log-prior)(?::(?P<n>\d+))?")


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A named matrix (K·G, P); ``reason`` says why it was chosen."""

    name: str
    matrix: Float[ndarray, "cells P"]
    reason: str = "chosen by the user"

    @property
    def size(self) -> int:
        """P, the number of searched values."""
        return int(self.matrix.shape[1])


def make_dictionary(name: str, counts: Counts) -> Dictionary:
    """Build the dictionary ``name`` for these counts.

    Raises
    ------
    DesignError
        If the name is unknown or its number does not fit.
    """
    return Dictionary(name, _columns(name, counts).toarray())


def _columns(name: str, counts: Counts) -> csr_array:
    match = _NAME.fullmatch(name)
    kind = match["kind"] if match else ""
    misnumbered = match is not None and (kind in _NUMBERED) != (match["n"] is not None)
    if match is None or misnumbered or (match["cell"] and kind in _PLAIN):
        raise DesignError(
            f"dictionary {name!r} is unknown; use class, cluster:C, rank:M, log-prior, cell, "
            "cell-cluster:C, cell-rank:M, cell-log-prior or auto"
        )
    by_cell = bool(match["cell"]) or kind == "cell"
    sizes = counts.values.ravel() if by_cell else counts.per_class
    number = int(match["n"] or 0)
    if (kind == "cluster" and number < 1) or (kind == "rank" and number < 2):
        raise DesignError(f"dictionary {name!r}: clusters need C >= 1 and ranks need M >= 2 knots")
    if kind == "cluster":
        matrix = _clusters(sizes, min(number, len(sizes)))
    elif kind == "rank":
        matrix = _rank_hats(sizes, min(number, len(sizes)))
    elif kind == "log-prior":
        matrix = _log_prior(sizes)
    else:
        matrix = eye_array(len(sizes))
    return csr_array(matrix if by_cell else kron(matrix, np.ones((counts.n_groups, 1))))


def choose_dictionary(
    counts: Counts,
    kinds: int,
    held_out_share: float = 1.0,
    examples: Float[ndarray, "K G"] | None = None,
) -> Dictionary:
    """Take the finest dictionary that the held-out examples can carry.

    Every column must be seen by at least 20 held-out examples, and all ``kinds`` vectors together
    may have at most one value per 10 held-out examples: with fewer, the search follows noise.

    Parameters
    ----------
    counts
        Examples per cell.
    kinds
        How many of w, l and δ are searched, each with this dictionary.
    held_out_share
        Share of the examples that validate at some point: 1 for k folds.
    examples
        Examples per cell where ``counts`` holds sums of weights, whose scale means nothing here.
    """
    unit, prefix = ("class", "") if counts.n_groups == 1 else ("cell", "cell-")
    n_units = counts.n_classes if counts.n_groups == 1 else counts.values.size
    names = [unit]
    size = 2
    while size <= n_units // 4:
        names.append(f"{prefix}cluster:{size}")
        size *= 2
    if n_units > _KNOTS:
        names.append(f"{prefix}rank:{_KNOTS}")
    held_out = (counts.values if examples is None else examples).ravel() * held_out_share
    refused = ""
    for name in names:
        columns = _columns(name, counts)
        seen = (columns != 0).T @ held_out
        seen = seen[seen > 0]  # columns of empty cells alone follow nothing but the shrinkage
        values = kinds * columns.shape[1]
        enough = seen.min() >= MIN_SUPPORT and values * MIN_EXAMPLES_PER_VALUE <= held_out.sum()
        facts = (
            f"its rarest column sees {seen.min():.0f} held-out examples "
            f"and there are {held_out.sum() / max(values, 1):.0f} for each searched value"
        )
        if enough:
            return Dictionary(name, columns.toarray(), f"{_describe(name)}: {facts}{refused}")
        refused = refused or f"; {_describe(name)} would leave {seen.min():.0f} for the rarest"
    name = f"{prefix}log-prior"
    reason = f"too few held-out examples ({held_out.sum():.0f}) for anything finer"
    return replace(make_dictionary(name, counts), reason=f"{_describe(name)}: {reason}")


def _describe(name: str) -> str:
    kind, _, number = name.partition(":")
    unit = "cell" if name.startswith("cell") else "class"
    kind = kind.removeprefix("cell-")
    if kind in _PLAIN:
        return f"one value per {unit}"
    if kind == "cluster":
        return f"one value per cluster of {number} {'cells' if unit == 'cell' else 'classes'}"
    if kind == "rank":
        return f"{number} values, piecewise linear in the frequency rank of the {unit}"
    return f"one value, the slope along log frequency of the {unit}"


def _by_count(sizes: Float[ndarray, "M"]) -> ndarray:
    """Positions from most to least frequent, ties by index."""
    return np.argsort(-sizes, kind="stable")


def _clusters(sizes: Float[ndarray, "M"], size: int) -> csr_array:
    """A one for every class in its cluster; the last of ⌈K/C⌉ may be smaller."""
    members, cluster = _by_count(sizes), np.arange(len(sizes)) // size
    shape = (len(sizes), math.ceil(len(sizes) / size))
    return csr_array((np.ones(len(sizes)), (members, cluster)), shape=shape)


def _rank_hats(sizes: Float[ndarray, "M"], knots: int) -> Float[ndarray, "M P"]:
    position = np.linspace(0, knots - 1, len(sizes))
    matrix = np.zeros((len(sizes), knots))
    matrix[_by_count(sizes)] = np.clip(1 - np.abs(position[:, None] - np.arange(knots)), 0, None)
    return matrix


def _log_prior(sizes: Float[ndarray, "M"]) -> Float[ndarray, "M 1"]:
    """Log frequency; an empty cell counts as half an example, as in the presets."""
    filled = np.where(sizes > 0, sizes, 0.5 * min(1.0, sizes[sizes > 0].min()))
    return np.asarray(np.log(filled / filled.sum())[:, None])
