"""Dictionaries: which classes or cells share a searched value, and how the default is chosen.

A dictionary is a matrix D of shape (K·G, P) that maps the short vector of searched values α to one
value per (class, group) cell, ``values = (D α).reshape(K, G)`` (section 2.2 of the paper). It is
kept sparse: with a value for each of 8,142 classes the matrix itself would take half a gigabyte.

=============  ===================================================================================
``class``      one column per class
``cluster:C``  one per cluster of C classes of similar count (sorted, ties by index)
``rank:M``     M hat functions: piecewise linear in the frequency rank of the class
``log-prior``  the single column log π of the classes: tunes τ of logit adjustment
``one``        a single column of ones: the same value for all
``line``       two columns, ones and log π scaled to [−1, 1]: a line along log frequency
``group``      one column per group, the same for all its classes
=============  ===================================================================================

and ``cell``, ``cell-cluster:C``, ``cell-rank:M``, ``cell-log-prior``, ``cell-line``, the same with
(class, group) cells in the place of classes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import coo_array, csc_array, csr_array, eye_array, kron
from scipy.sparse.linalg import splu
from torch import Tensor

from autobalance.counts import Counts
from autobalance.errors import DesignError

MIN_SUPPORT = 20
"""Held-out examples that every column of the default dictionary must see."""
MIN_EXAMPLES_PER_VALUE = 10
"""Held-out examples for each searched value, at least, with the default dictionary."""
_KNOTS = 4
_ROUNDING = 1e-9
_PLAIN = ("class", "group", "cell", "one")
_NUMBERED = ("cluster", "rank")
_NAME = re.compile(
    r"(?P<cell>cell-)?(?P<kind>class|group|cell|one|cluster|rank|log-prior|line)(?::(?P<n>\d+))?"
)


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A named sparse matrix (K·G, P); ``reason`` says why it was chosen."""

    name: str
    sparse: csr_array
    reason: str = "chosen by the user"

    @property
    def size(self) -> int:
        """P, the number of searched values."""
        return int(self.sparse.shape[1])

    @property
    def matrix(self) -> Float[ndarray, "cells P"]:
        """The matrix in full."""
        return np.asarray(self.sparse.toarray())

    def __matmul__(self, values: Float[Tensor, "P"]) -> Float[Tensor, "cells"]:
        """D α, differentiable in α (float64)."""
        rows, columns, entries = self._entries
        products = entries * values[columns]
        return products.new_zeros(self.sparse.shape[0]).index_add(0, rows, products)

    def rank_without(self, removed: Float[ndarray, "cells R"]) -> int:
        """Rank of D once the span of ``removed``, of independent columns, is projected off.

        That is the rank of D, whose columns are independent unless they are 0, less the dimension
        of what both spans share; and they share what D leaves nothing of.
        """
        columns = csc_array(self.sparse[:, abs(self.sparse).sum(axis=0) > 0])
        if not columns.shape[1]:
            return 0
        left = removed - columns @ splu(csc_array(columns.T @ columns)).solve(columns.T @ removed)
        shared = removed.shape[1] - np.linalg.matrix_rank(left, tol=_ROUNDING * len(removed))
        return int(columns.shape[1] - shared)

    @cached_property
    def _entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and values of what is not 0."""
        entries = coo_array(self.sparse)
        rows, columns = (torch.from_numpy(place.astype(np.int64)) for place in entries.coords)
        return rows, columns, torch.from_numpy(entries.data)


def make_dictionary(name: str, counts: Counts) -> Dictionary:
    """Build the dictionary ``name`` for these counts.

    Raises
    ------
    DesignError
        If the name is unknown or its number does not fit.
    """
    return Dictionary(name, _columns(name, counts))


def _columns(name: str, counts: Counts) -> csr_array:
    match = _NAME.fullmatch(name)
    kind = match["kind"] if match else ""
    misnumbered = match is not None and (kind in _NUMBERED) != (match["n"] is not None)
    if match is None or misnumbered or (match["cell"] and kind in _PLAIN):
        raise DesignError(
            f"dictionary {name!r} is unknown; use class, group, cluster:C, rank:M, log-prior, "
            "line, one, cell, cell-cluster:C, cell-rank:M, cell-log-prior, cell-line or auto"
        )
    if kind == "group":
        return csr_array(kron(np.ones((counts.n_classes, 1)), eye_array(counts.n_groups)))
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
    elif kind == "line":
        matrix = _line(sizes)
    elif kind == "one":
        matrix = np.ones((len(sizes), 1))
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
            return Dictionary(name, columns, f"{_describe(name)}: {facts}{refused}")
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


def _rank_hats(sizes: Float[ndarray, "M"], knots: int) -> csr_array:
    """Between two knots each class has a share of either."""
    position = np.linspace(0, knots - 1, len(sizes))
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, knots - 1)
    share = position - below  # 0 at the last knot, which has none above
    members = np.tile(_by_count(sizes), 2)
    entries = (np.concatenate([1 - share, share]), (members, np.concatenate([below, above])))
    matrix = csr_array(entries, shape=(len(sizes), knots))
    matrix.eliminate_zeros()
    return matrix


def _log_prior(sizes: Float[ndarray, "M"]) -> Float[ndarray, "M 1"]:
    """Log frequency; an empty cell counts as half an example, as in the presets."""
    filled = np.where(sizes > 0, sizes, 0.5 * min(1.0, sizes[sizes > 0].min()))
    return np.asarray(np.log(filled / filled.sum())[:, None])


def _line(sizes: Float[ndarray, "M"]) -> Float[ndarray, "M 2"]:
    """Ones, and log frequency from −1 for the rarest to 1 for the most frequent."""
    log = _log_prior(sizes)[:, 0]
    half = (log.max() - log.min()) / 2
    slope = np.zeros_like(log) if half == 0 else (log - log.min()) / half - 1
    return np.stack([np.ones_like(log), slope], 1)
