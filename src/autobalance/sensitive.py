"""Groups from arrays: one or several columns of sensitive features become one code per example."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from autobalance.errors import DataError
from autobalance.labels import Label, as_label


class Groups(NamedTuple):
    """Codes in [0, G) and the label of each group, in sorted order with missing values last."""

    codes: Int[ndarray, "N"]
    labels: tuple[Label, ...]


def encode_sensitive(
    features: Any, n_examples: int, used: Bool[ndarray, "N"] | None = None
) -> Groups:
    """Number the observed combinations of one or several columns.

    Parameters
    ----------
    features
        Array, list, Series or DataFrame of shape (N,) or (N, C). Missing values form a group of
        their own, labelled ``None``; several columns give tuples as labels.
    n_examples
        N.
    used
        Which examples play a part, by default all: a group of others alone is none, and their code
        is 0.

    Raises
    ------
    DataError
        If the number of rows is another, or there are more than two dimensions.
    """
    table = np.asarray(features, dtype=object)
    if table.ndim not in (1, 2) or len(table) != n_examples:
        raise DataError(
            f"sensitive_features has shape {table.shape} but X has {n_examples} rows; "
            "give one value, or one row of values, per example"
        )
    if table.ndim == 2 and table.shape[1] == 1:
        table = table[:, 0]
    rows: list[Label] = [as_label(row.tolist() if table.ndim == 2 else row) for row in table]
    seen = rows if used is None else [row for row, use in zip(rows, used, strict=True) if use]
    labels = tuple(sorted(set(seen), key=_order))
    position = {label: code for code, label in enumerate(labels)}
    return Groups(np.array([position.get(row, 0) for row in rows], dtype=np.int64), labels)


def _order(label: Label) -> tuple[Any, ...]:
    """Numbers by value, then texts, then missing; tuples part by part."""
    if isinstance(label, tuple):
        return (3, tuple(_order(part) for part in label))
    if label is None:
        return (2, 0)
    return (1, label) if isinstance(label, str) else (0, label)
