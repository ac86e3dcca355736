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

    :func:`~autobalance.search.folds.make_folds` with a share keeps to the share over all classes
    together, and so may hold out none of a rare class. A long tail needs one of each.

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
    if not 0.0 < share < 1.0:
        raise DataError(f"the held-out share is {share} but must be between 0 and 1")
    unknown = y[(y < 0) | (y >= len(labels))]
    if len(unknown):
        raise DataError(
            f"y holds the code {unknown[0]}, which has no label among {len(labels)}; give the "
            "label of every class"
        )
    rng = np.random.default_rng(seed)
    held_out = []
    for k, label in enumerate(labels):
        rows = np.flatnonzero(y == k)
        if len(rows) < 2:
            number = "a single example" if len(rows) else "no example"
            raise DataError(
                f"class {label_text(label)!r} has {number}, so it cannot both be trained on and "
                "held out; leave it out or collect more"
            )
        number_held_out = int(np.clip(round(share * len(rows)), 1, len(rows) - 1))
        held_out.append(rng.permutation(rows)[:number_held_out])
    positions = np.sort(np.concatenate(held_out))
    return HeldOutSplit(np.setdiff1d(np.arange(len(y)), positions), positions)
