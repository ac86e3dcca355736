"""Values that JSON can hold as they are, and how they are read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray


def plain(value: Any) -> Any:
    """Numpy's numbers and arrays as Python's."""
    if isinstance(value, (np.generic, ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def is_plain(value: Any) -> bool:
    """Whether a value is a text, a number, true, false, None, or made of these."""
    if isinstance(value, (list, tuple)):
        return all(is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(part) for k, part in value.items())
    return value is None or isinstance(value, (str, bool, int, float))


def numbers(document: Mapping[str, Any], name: str) -> ndarray:
    """A table of any number of dimensions; neither true nor "1" is a number.

    Raises
    ------
    TypeError
        If there is anything else in it, or rows differ in length.
    """
    values = np.array(document[name], dtype=object)
    if not all(type(value) in (int, float) for value in values.reshape(-1)):
        raise TypeError(f"{name} is not a table of numbers")
    return values.astype(np.float64)
