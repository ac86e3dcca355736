"""Which examples train and which validate: k folds, one split, or any scikit-learn splitter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from sklearn.model_selection import StratifiedKFold

from autobalance.counts import Counts
from autobalance.data.heldout import held_out_positions
from autobalance.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Folds:
    """Training masks of F folds and the pairs (fold, example) that validate.

    ``row`` ascends; an example may validate in several folds, or in none.
    """

    train: Bool[ndarray, "F N"]
    fold: Integer[ndarray, "M"]
    row: Integer[ndarray, "M"]
    note: str = ""

    def __len__(self) -> int:
        return len(self.train)

    @property
    def held_out_share(self) -> float:
        """Share of the examples that validate in some fold."""
        return float(len(np.unique(self.row)) / self.train.shape[1])

    def train_weight(self, sample_weight: Float[ndarray, "N"]) -> Float[ndarray, "F N"]:
        """Weights of each fold's training examples, each row summing to 1."""
        weights = self.train * sample_weight
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def among(self, rows: Integer[ndarray, "m"]) -> Folds:
        """The same folds of some of the examples, ascending, by their positions among these."""
        place = np.full(self.train.shape[1], -1)
        place[rows] = np.arange(len(rows))
        row = place[self.row]
        there = row >= 0
        return Folds(self.train[:, rows], self.fold[there], row[there], self.note)


def make_folds(
    cv: int | float | Any,
    x: Any,
    labels: Any,
    y: Integer[ndarray, "N"],
    cell: Integer[ndarray, "N"],
    counts: Counts,
    sample_weight: Float[ndarray, "N"],
    random_state: int | None,
    cv_groups: ndarray | None = None,
) -> Folds:
    """Split the examples for searching.

    Parameters
    ----------
    cv
        A whole number of folds (at least 2), stratified by cell, so that every example validates
        once; a share between 0 and 1, for one split that holds out that share of every cell and at
        least one example of it; a scikit-learn splitter, which is given ``x``, ``labels`` and
        ``cv_groups``; or an iterable of (train, validation) positions.
    x, labels
        What a splitter may look at: the features and labels as the user gave them.
    y, cell
        Codes of class and cell.
    counts
        Examples per cell, with their labels.
    sample_weight
        Examples of weight 0 neither train nor validate.
    random_state
        Seed of the folds.
    cv_groups
        Subjects or other units that a splitter must keep together.

    Raises
    ------
    DataError
        If a class has a single example, or a fold trains without some class or validates nothing.
    """
    used = sample_weight > 0
    note = ""
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        n_folds, note = _affordable_folds(int(cv), y[used], counts)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        strata = _strata(cell, y, n_folds, used)
        positions = np.flatnonzero(used)
        with warnings.catch_warnings():
            # A stratum of fewer examples than folds is spread over as many folds as it can.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            pairs = [
                (positions[train], positions[held_out])
                for train, held_out in splitter.split(positions, strata[used])
            ]
    elif isinstance(cv, float):
        if not 0.0 < cv < 1.0:
            raise DataError(f"cv is {cv}; a single split needs a share between 0 and 1")
        _affordable_folds(2, y[used], counts)
        positions = np.flatnonzero(used)
        held_out = held_out_positions(_strata(cell, y, 2, used)[used], cv, random_state)
        pairs = [(np.delete(positions, held_out), positions[held_out])]
    else:
        pairs = _given_pairs(cv, x, labels, cv_groups, len(y))
    return _assemble(pairs, y, counts, used, note)


def _given_pairs(
    cv: Any, x: Any, labels: Any, cv_groups: ndarray | None, rows: int
) -> list[tuple[ndarray, ndarray]]:
    """Positions from a splitter or an iterable, each position once per side."""
    if isinstance(cv, str) or not (hasattr(cv, "split") or isinstance(cv, Iterable)):
        raise DataError(f"cv is {cv!r}; give a number of folds, a share, or a splitter")
    try:
        split = cv.split(x, labels, cv_groups) if hasattr(cv, "split") else cv
        pairs = [(np.arange(rows)[np.asarray(a)], np.arange(rows)[np.asarray(b)]) for a, b in split]
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"cv gives no pairs of positions ({error}); check the splitter and its cv_groups"
        ) from error
    for number, (fit, held_out) in enumerate(pairs, 1):
        if np.intersect1d(fit, held_out).size:
            raise DataError(f"fold {number} of {len(pairs)} trains on held-out examples; change cv")
    return [(np.unique(fit), np.unique(held_out)) for fit, held_out in pairs]


def _affordable_folds(n_folds: int, y: Integer[ndarray, "N"], counts: Counts) -> tuple[int, str]:
    """At most as many folds as the rarest class has examples."""
    if n_folds < 2:
        raise DataError(f"cv is {n_folds}; use at least 2 folds, or a share for one split")
    per_class = np.bincount(y, minlength=counts.n_classes)
    rarest = int(per_class.argmin())
    if per_class[rarest] < 2:
        raise DataError(
            f"{counts.class_name(rarest)} has a single example, which cannot both train and "
            "validate; leave it out (--drop-class) or collect more"
        )
    if per_class[rarest] >= n_folds:
        return n_folds, ""
    note = (
        f"{per_class[rarest]} folds instead of {n_folds}: "
        f"{counts.class_name(rarest)} has only {per_class[rarest]} examples"
    )
    logger.info(note)
    return int(per_class[rarest]), note


def _strata(
    cell: Integer[ndarray, "N"], y: Integer[ndarray, "N"], n_folds: int, used: Bool[ndarray, "N"]
) -> Integer[ndarray, "N"]:
    """Cells, but a class in place of its cells that are too small to be spread over the folds.

    An example that is alone even so joins its class's largest cell.
    """
    sizes = np.bincount(cell[used], minlength=int(cell.max()) + 1)
    strata = np.where(sizes[cell] >= n_folds, cell, cell.max() + 1 + y)
    alone = np.bincount(strata[used], minlength=int(strata.max()) + 1)[strata] == 1
    largest = np.empty(int(y.max()) + 1, dtype=cell.dtype)
    ascending = np.argsort(sizes[cell], kind="stable")
    largest[y[ascending]] = cell[ascending]
    return np.where(alone, largest[y], strata)


def _assemble(
    pairs: list[tuple[ndarray, ndarray]],
    y: Integer[ndarray, "N"],
    counts: Counts,
    used: Bool[ndarray, "N"],
    note: str,
) -> Folds:
    train = np.zeros((len(pairs), len(y)), dtype=bool)
    folds, rows = [], []
    for f, (fit, validating) in enumerate(pairs):
        train[f, fit] = True
        train[f] &= used
        held_out = validating[used[validating]]
        if not len(held_out):
            raise DataError(f"fold {f + 1} of {len(pairs)} has no held-out example; change cv")
        missing = np.setdiff1d(np.arange(counts.n_classes), y[train[f]])
        if len(missing):
            raise DataError(
                f"fold {f + 1} of {len(pairs)} trains without "
                f"{counts.class_name(int(missing[0]))}; use fewer folds or another splitter"
            )
        folds.append(np.full(len(held_out), f))
        rows.append(held_out)
    if not pairs:
        raise DataError("cv gives no split; give a number of folds, a share, or a splitter")
    fold, row = np.concatenate(folds), np.concatenate(rows)
    order = np.lexsort((fold, row))
    return Folds(train, fold[order], row[order], note)
