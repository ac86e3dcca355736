"""One held-out part in which, as in the rest, every class occurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from autobalance.errors import DataError
from autobalance.labels import Label, label_text


class HeldOutSplit(NamedTuple):
    """Ascending positions of the examples that train and of those held out."""

    train: Int[ndarray, "M"]
    held_out: Int[ndarray, "H"]


def held_out_split(
    y: Int[ndarray, "N"], labels: Sequence[Label], share: float, seed: int = 0
) -> HeldOutSplit:
    """Hold out a share of every class, at least one example of it and never all.

    Parameters
    ----------
    y
        Codes in [0, K); pass those of (class, group) cells to hold out of each cell.
    labels
        The K labels, by which errors name a class.
    share
        Between 0 and 1: of n examples the nearest whole number to ``share · n`` is held out.
    seed
        Decides which ones.

    Raises
    ------
    DataError
        If the share is not between 0 and 1, a code has no label, or a class has fewer than two
        examples.
    """
    unknown = y[(y < 0) | (y >= len(labels))]
    if len(unknown):
        raise DataError(
            f"y holds the code {unknown[0]}, which has no label among {len(labels)}; give the "
            "label of every class"
        )
    for label, size in zip(labels, np.bincount(y, minlength=len(labels)), strict=True):
        if size < 2:
            number = "a single example" if size else "no example"
            raise DataError(
                f"class {label_text(label)!r} has {number}, so it cannot both be trained on and "
                "held out; leave it out or collect more"
            )
    held_out = held_out_positions(y, share, seed)
    return HeldOutSplit(np.setdiff1d(np.arange(len(y)), held_out), held_out)


def held_out_positions(
    strata: Int[ndarray, "N"], share: float, seed: int | None
) -> Int[ndarray, "H"]:
    """Ascending positions of a share of every stratum, at least one and never all of it.

    A share over all strata together would hold out none of a rare one, which is needed most. A
    stratum of one example is not held out.

    Raises
    ------
    DataError
        If the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise DataError(f"the held-out share is {share} but must be between 0 and 1")
    rng = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    first_of_each = np.flatnonzero(np.diff(strata[order])) + 1
    held_out = []
    for rows in np.split(order, first_of_each):
        number = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held_out.append(rng.permutation(rows)[:number])
    return np.sort(np.concatenate(held_out))
