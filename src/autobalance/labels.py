"""Labels of classes and groups, and their exact form in JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from autobalance.errors import DataError

_LABEL_KINDS = "a string, a whole or finite number, true/false, null, or a list of these"
_MISSING_TEXTS = {"<NA>", "NaT", "NaN"}  # how pandas.NA, NaT and Decimal("NaN") print
Label = str | int | float | bool | None | tuple[Any, ...]
"""A class or group label. Groups from several columns are tuples; a missing value is None."""


def as_label(value: Any) -> Label:
    """Turn a value from a table or an array into a plain Python label.

    Missing values (None, NaN, NaT, ``pandas.NA``) become ``None``; floats that are whole numbers
    stay floats so that labels round-trip; bytes are read as UTF-8; anything that is no plain value,
    such as a date, becomes its string.

    Raises
    ------
    DataError
        If the value is infinite.
    """
    if isinstance(value, (tuple, list)):
        return tuple(as_label(part) for part in value)
    # numpy.datetime64 in nanoseconds would become a bare integer
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, float) and math.isinf(value):
        raise DataError(f"{value!r} is not a label; replace infinite values before counting")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (str, bool, int, float)):
        return value
    text = str(value)
    return None if text in _MISSING_TEXTS else text


def label_to_json(label: Label) -> Any:
    """JSON value of a label: tuples become lists, everything else stays."""
    return [label_to_json(part) for part in label] if isinstance(label, tuple) else label


def label_from_json(value: Any) -> Label:
    """Inverse of :func:`label_to_json`.

    Raises
    ------
    ValueError
        If the value is no label, such as an object or a number that is not finite.
    """
    if isinstance(value, list):
        return tuple(label_from_json(part) for part in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a label; a label is {_LABEL_KINDS}")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{value!r} is not a label; a label is {_LABEL_KINDS}")


def label_text(label: Label) -> str:
    """A label as people read it: ``missing`` for None, parts of a tuple joined by a comma."""
    if label is None:
        return "missing"
    if isinstance(label, tuple):
        return ", ".join(label_text(part) for part in label)
    return str(label)


def codes_of(labels: Any, known: Sequence[Label], noun: str) -> Int[ndarray, "N"]:
    """Positions of N labels among those that are known.

    Parameters
    ----------
    labels
        Array, list, Series, or the rows of a table whose rows are labels of several parts.
    known
        The labels, in the order of the codes.
    noun
        What they are labels of, for the error: ``"class"`` or ``"group"``.

    Raises
    ------
    DataError
        If a label is not known.
    """
    place = {label: code for code, label in enumerate(known)}
    rows = np.asarray(labels, dtype=object).tolist()
    found = [as_label(row[0] if isinstance(row, list) and len(row) == 1 else row) for row in rows]
    unknown = [label for label in found if label not in place]
    if unknown:
        raise DataError(
            f"the {noun} {label_text(unknown[0])!r} is none of "
            f"{', '.join(map(label_text, known[:10]))}; correct it, or leave its rows out"
        )
    return np.array([place[label] for label in found], dtype=np.int64)
