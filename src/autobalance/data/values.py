"""The distinct values of a column as plain labels in a fixed order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from autobalance.data.wording import amount
from autobalance.errors import DataError
from autobalance.labels import Label, as_label


class Coded(NamedTuple):
    """A column as integers: row i holds ``labels[codes[i]]``."""

    codes: Int[ndarray, "N"]
    labels: tuple[Label, ...]


def plain_label(value: Any) -> Label:
    """The label of one value; a float that is a whole number becomes an int.

    pandas reads whole numbers as floats as soon as one value of the column is missing; with this
    rule a class has the same label whether or not its file has a gap.
    """
    label = as_label(value)
    return int(label) if isinstance(label, float) and label.is_integer() else label


def label_order(label: Label) -> tuple[int, Any]:
    """Sort key of a plain label: numbers by value, then strings, a missing value last."""
    if label is None:
        return 2, 0
    return (1, label) if isinstance(label, str) else (0, label)


def distinct_values(column: pd.Series[Any]) -> Coded:
    """Codes and sorted labels of the values a column holds; missing values are the label None.

    Raises
    ------
    DataError
        If the column holds lists, structs or other values that are no labels, or infinite numbers.
    """
    try:
        found_codes, found = pd.factorize(column)
    except TypeError as error:
        kind = type(column.dropna().iloc[0]).__name__
        raise DataError(
            f"column {str(column.name)!r} holds {kind} values in {amount(len(column), 'row')}; "
            "choose a column of numbers or text"
        ) from error
    if pd.api.types.is_float_dtype(column) and np.isinf(np.asarray(found, dtype=float)).any():
        raise DataError(
            f"column {str(column.name)!r} holds infinite values; replace them or leave them empty"
        )
    labels = [plain_label(value) for value in found]
    if (found_codes < 0).any():
        labels.append(None)  # the code of a missing value is -1: the last entry
    ordered = sorted(set(labels), key=label_order)
    position = {label: place for place, label in enumerate(ordered)}
    places = np.array([position[label] for label in labels], dtype=np.int64)
    return Coded(places[found_codes], tuple(ordered))
