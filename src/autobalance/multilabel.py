"""Multi-label targets: L labels, each its own decision between negative and positive.

N examples with L labels are N·L binary examples, whose class is the outcome (0 or 1) and whose
group is the label, or the pair of the label and the example's group. So counts, presets, designs,
search spaces and objectives speak of them as of any classes in groups: ``group-balanced`` is the
mean over labels of the balanced error, ``worst-group`` the worst outcome of any label, ``error``
the Hamming loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.evaluation import cell_errors
from autobalance.labels import Label, label_text
from autobalance.losses.binary import OUTCOMES

_IGNORED = -100


class _Decisions(NamedTuple):
    """The known labels of all examples one after the other; ``known`` says where they are."""

    outcome: Integer[ndarray, "M"]
    column: Integer[ndarray, "M"]
    weight: Float[ndarray, "M"]
    known: Bool[ndarray, "N L"]


def label_counts(
    targets: Shaped[ndarray, "N L"],
    labels: Sequence[Label] | None = None,
    g: Integer[ndarray, "N"] | None = None,
    groups: Sequence[Label] | None = None,
    sample_weight: Float[ndarray, "N"] | None = None,
) -> Counts:
    """Count the negatives and the positives of each label, for presets and designs.

    Parameters
    ----------
    targets
        0 and 1, or booleans. A missing label is NaN, or -100 among integers, and is not counted.
    labels
        Names of the L labels; by default 0 to L - 1.
    g, groups
        Codes of each example's group and what they stand for, as of
        :meth:`Counts.from_codes <autobalance.counts.Counts.from_codes>`. The columns are then pairs
        (label, group), labels first.
    sample_weight
        Weight of each example; ``None`` counts every example as one.

    Returns
    -------
    Counts
        Of the classes ``negative`` and ``positive``, with a column for each label (and group).

    Raises
    ------
    DataError
        If a target is anything else, lengths differ, or a label has no known example.

    Examples
    --------
    >>> import numpy as np
    >>> from autobalance.multilabel import label_counts
    >>> label_counts(np.array([[1, 0], [0, 0], [0, 1]]), ("rash", "fever")).values
    array([[2., 2.],
           [1., 1.]])
    """
    targets = _as_table(targets)
    names = tuple(range(targets.shape[1]) if labels is None else labels)
    if len(names) != targets.shape[1]:
        raise DataError(f"there are {targets.shape[1]} columns of targets but {len(names)} labels")
    if (g is None) != (groups is None):
        raise DataError("group codes and group labels belong together; give both or neither")
    n_groups = 1 if groups is None else len(groups)
    decisions = _as_decisions(targets, g, n_groups, sample_weight)
    size = len(names) * n_groups
    cell = decisions.outcome * size + decisions.column
    values = np.bincount(cell, decisions.weight, len(OUTCOMES) * size).reshape(-1, size)
    for name, known in zip(names, values.reshape(2, -1, n_groups).sum((0, 2)), strict=True):
        if known == 0:
            raise DataError(f"label {label_text(name)!r} is known of no example; leave it out")
    for outcome, seen in zip(OUTCOMES, values.sum(1), strict=True):
        if seen == 0:
            raise DataError(f"no label of any example is {outcome}; there is nothing to learn")
    columns = names if groups is None else tuple((a, b) for a in names for b in groups)
    return Counts(values, OUTCOMES, columns, multilabel=True)


def label_errors(
    logits: Shaped[ndarray, "N L"],
    targets: Shaped[ndarray, "N L"],
    g: Integer[ndarray, "N"] | None = None,
    n_groups: int = 1,
    sample_weight: Float[ndarray, "N"] | None = None,
) -> Float[ndarray, "2 G"]:
    """Error rates of each label where a logit above 0 gives it.

    Parameters
    ----------
    logits
        Plain ones, not probabilities; decisions as 0 and 1 do as well.
    targets, sample_weight
        As for :func:`label_counts`.
    g, n_groups
        Codes of each example's group and their number.

    Returns
    -------
    ndarray of shape (2, L), or (2, L·S) with S groups
        The share of the negatives that are given the label, and of the positives that are not; NaN
        where there are none. ``Objective.parse(name).bind(counts).error`` makes one figure of them,
        as :func:`~autobalance.scoring.objective_error` does.

    Raises
    ------
    DataError
        As in :func:`label_counts`, or if shapes differ.
    """
    logits, targets = np.asarray(logits), _as_table(targets)
    if logits.shape != targets.shape:
        raise DataError(f"logits have shape {logits.shape} but targets {targets.shape}")
    decisions = _as_decisions(targets, g, n_groups, sample_weight)
    return cell_errors(
        decisions.outcome,
        (logits > 0)[decisions.known].astype(np.int64),
        decisions.column,
        len(OUTCOMES),
        targets.shape[1] * n_groups,
        decisions.weight,
    )


def _as_table(targets: Shaped[ndarray, "*shape"]) -> Shaped[ndarray, "N L"]:
    targets = np.asarray(targets)
    if targets.ndim != 2 or targets.size == 0:
        raise DataError(f"targets have shape {targets.shape}; give one column for each label")
    return targets


def _as_decisions(
    targets: Shaped[ndarray, "N L"],
    g: Integer[ndarray, "N"] | None,
    n_groups: int,
    sample_weight: Float[ndarray, "N"] | None,
) -> _Decisions:
    known = ~np.isnan(targets) if targets.dtype.kind == "f" else targets != _IGNORED
    wrong = known & (targets != 0) & (targets != 1)
    if wrong.any():
        i, k = (int(place) for place in np.argwhere(wrong)[0])
        raise DataError(
            f"the target of example {i} in column {k} is {targets[i, k]}; give 0 or 1, and NaN "
            f"(or {_IGNORED} among integers) where a label is missing"
        )
    column = n_groups * np.broadcast_to(np.arange(targets.shape[1]), targets.shape)
    if g is not None:
        if g.shape != targets.shape[:1] or (g < 0).any() or (g >= n_groups).any():
            raise DataError(
                f"give one group code in 0..{n_groups - 1} for each of {len(targets)} examples"
            )
        column = column + g[:, None]
    weight = np.ones(len(targets)) if sample_weight is None else sample_weight
    if weight.shape != targets.shape[:1]:
        raise DataError(f"there are {len(targets)} examples but {weight.size} sample weights")
    return _Decisions(
        targets[known].astype(np.int64),
        column[known].astype(np.int64),
        np.broadcast_to(weight[:, None], targets.shape)[known],
        known,
    )
