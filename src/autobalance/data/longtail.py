"""Long-tailed subsets of balanced data, the usual stand-in for rare classes."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from autobalance.errors import DataError


def long_tailed_counts(
    n_max: int, n_classes: int, ratio: float, rounding: Literal["ceil", "floor"] = "ceil"
) -> Int[ndarray, "K"]:
    """Examples per class that fall off exponentially, ``n_k = n_max · ratio^(−k/(K−1))``.

    Parameters
    ----------
    n_max
        Examples of class 0, the largest.
    n_classes
        K, at least 2.
    ratio
        The imbalance ρ ≥ 1: the largest class holds ρ times as many examples as the smallest.
    rounding
        ``"ceil"`` as the authors of AutoBalance count (CIFAR-10-LT with ρ = 100 has 12,414
        examples), ``"floor"`` as the code of LDAM and most papers after it do (12,406).

    Raises
    ------
    DataError
        If the ratio is below 1, there is one class alone, ``n_max`` is below 1, or a class would be
        left empty.
    """
    if not (np.isfinite(ratio) and ratio >= 1):
        raise DataError(f"the imbalance ratio is {ratio} but must be 1 or more; 1 is balanced")
    if n_classes < 2:
        raise DataError("a long-tailed subset needs at least two classes; check the labels")
    if n_max < 1:
        raise DataError(f"class 0 is to get {n_max} examples but must get 1 or more")
    exact = n_max / ratio ** (np.arange(n_classes) / (n_classes - 1))
    counts = (np.ceil if rounding == "ceil" else np.floor)(exact).astype(np.int64)
    if counts[-1] == 0:
        raise DataError(
            f"an imbalance ratio of {ratio:g} leaves class {n_classes - 1} without an example; "
            f"use at most {n_max}"
        )
    return counts


def long_tailed_indices(
    y: Int[ndarray, "N"],
    ratio: float,
    rounding: Literal["ceil", "floor"] = "ceil",
    n_max: int | None = None,
) -> Int[ndarray, "M"]:
    """Positions of the first ``n_k`` examples of each class, in their old order.

    The choice is deterministic, as in the published CIFAR-LT sets.

    Parameters
    ----------
    y
        Codes in [0, K), each of which occurs; class 0 becomes the largest.
    ratio, rounding
        As in :func:`long_tailed_counts`, which also says what is refused.
    n_max
        Examples of class 0: by default as many as the smallest class of ``y`` has, so that every
        class can serve its share.

    Raises
    ------
    DataError
        If a class has no example, or fewer than it would have to serve.
    """
    available = np.bincount(y)
    absent = np.flatnonzero(available == 0)
    if len(absent):
        raise DataError(
            f"class {absent[0]} has no example to take; number the classes that occur from 0"
        )
    largest = int(available.min(initial=len(y))) if n_max is None else n_max
    counts = long_tailed_counts(largest, len(available), ratio, rounding)
    short = np.flatnonzero(available < counts)
    if len(short):
        k = int(short[0])
        raise DataError(
            f"a long tail from {largest:,} examples of class 0 needs {counts[k]:,} of class {k}, "
            f"which has {available[k]:,}; start from fewer"
        )
    chosen = [np.flatnonzero(y == k)[:count] for k, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen))


class LongTailedDigits(NamedTuple):
    """Training and test arrays of the long-tailed digits; pixels run from 0 to 16."""

    train_features: Float[ndarray, "N 64"]
    train_target: Int[ndarray, "N"]
    test_features: Float[ndarray, "M 64"]
    test_target: Int[ndarray, "M"]


def digits_long_tailed(ratio: float = 20.0, seed: int = 0) -> LongTailedDigits:
    """scikit-learn's 8 × 8 digits with a long-tailed training part and a balanced test part.

    Parameters
    ----------
    ratio
        How many times more zeros than nines the training part holds. At the default there are
        about 100 zeros and 6 nines: rare, yet enough for five folds.
    seed
        Decides which digits are test; the long tail then takes the first ones of each class.

    Raises
    ------
    DataError
        If the ratio is below 1.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    features, target = load_digits(return_X_y=True)
    train_features, test_features, train_target, test_target = train_test_split(
        features, target, test_size=0.4, random_state=seed, stratify=target
    )
    rows = long_tailed_indices(train_target, ratio)
    return LongTailedDigits(train_features[rows], train_target[rows], test_features, test_target)
