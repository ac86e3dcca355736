"""The numeric part of a table: one matrix without gaps, from columns and from vectors alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num
from numpy import ndarray

from autobalance.data.tables import Table
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError

_AT_ONCE = 16
"""Components of vectors that are looked at together: a line of a processor's cache."""
_NEAR_ZERO = 2.0**16


@dataclass(frozen=True)
class NumericPart:
    """Columns of numbers and vectors side by side, gaps filled with the medians of training.

    Parameters
    ----------
    columns
        Columns of single numbers, in the order of the features.
    widths
        How many numbers each vector has, by name; their features follow those of ``columns``.
    medians
        What fills a gap, for every feature.
    """

    columns: tuple[str, ...]
    widths: Mapping[str, int]
    medians: tuple[float, ...]

    @classmethod
    def fit(cls, table: Table, columns: Sequence[str]) -> tuple[NumericPart, Int[ndarray, "P"]]:
        """Learn the medians of ``columns`` and of all vectors of ``table``; count the gaps.

        Raises
        ------
        DataError
            If a value or a median is infinite, or a component of a vector is missing in every row.
        """
        widths = {name: matrix.shape[1] for name, matrix in table.vectors.items()}
        part = cls(tuple(columns), widths, ())
        medians, gaps = np.empty(len(part.feature_names)), np.zeros(len(part.feature_names), int)
        for place, values in part._blocks(table):
            missing = np.isnan(values)
            gaps[place] = missing.sum(axis=0)
            empty = np.flatnonzero(gaps[place] == len(table))
            if len(empty):
                names = [part.feature_names[place][j] for j in empty]
                raise DataError(
                    f"feature {listing(names)} of {table.source} has no value in any row; leave "
                    "it out"
                )
            median = np.nanmedian if missing.any() else np.median
            with np.errstate(over="ignore"):
                found = median(values.astype(np.float64), axis=0).astype(values.dtype)
            medians[place] = found
            if np.isinf(found).any():
                j = int(np.flatnonzero(np.isinf(found))[0])
                raise DataError(
                    f"the values of feature {part.feature_names[place][j]!r} of {table.source} "
                    "are too large to have a median; scale them"
                )
        return cls(part.columns, widths, tuple(medians.tolist())), gaps

    @property
    def feature_names(self) -> list[str]:
        """The column names, then ``name[j]`` for component j of a vector."""
        components = [f"{name}[{j}]" for name, width in self.widths.items() for j in range(width)]
        return [*self.columns, *components]

    def dtype(self, table: Table) -> np.dtype[Any]:
        """What holds all the values without loss: float32 if that will do, else float64."""
        parts = [_vectors(table, name, width).dtype for name, width in self.widths.items()]
        parts += [_numbers(table.column(name)).dtype for name in self.columns]
        parts.append(_narrow(np.array(self.medians), np.inf).dtype)
        return np.result_type(np.float32, *parts)

    def write(self, table: Table, out: Float[ndarray, "N P"]) -> Int[ndarray, "P"]:
        """Write the values into ``out``, every gap filled; say how many gaps each feature had.

        Raises
        ------
        DataError
            If text stands where training had numbers, a vector has another length, or a value is
            infinite.
        """
        medians = np.array(self.medians, dtype=out.dtype)
        gaps = np.zeros(len(medians), dtype=int)
        for place, values in self._blocks(table):
            missing = np.isnan(values)
            gaps[place] = missing.sum(axis=0)
            out[:, place] = np.where(missing, medians[place], values)
        return gaps

    def _blocks(self, table: Table) -> Iterator[tuple[slice, Float[ndarray, "N b"]]]:
        """A few features at a time, NaN for gaps, with their place; raises as :meth:`write`."""
        start = 0
        for values in chain(
            (_numbers(table.column(name))[:, None] for name in self.columns),
            (
                matrix[:, first : first + _AT_ONCE]
                for matrix in (_vectors(table, *each) for each in self.widths.items())
                for first in range(0, matrix.shape[1], _AT_ONCE)
            ),
        ):
            place = slice(start, start + values.shape[1])
            start = place.stop
            infinite = np.isinf(values).sum(axis=0)
            if infinite.any():
                first = int(np.flatnonzero(infinite)[0])
                raise DataError(
                    f"column {self.feature_names[place][first]!r} of {table.source} holds infinite "
                    f"values in {amount(int(infinite[first]), 'row')}; "
                    "replace them by numbers or leave them empty"
                )
            yield place, values.astype(np.result_type(np.float32, values), copy=False)


def as_numbers(column: pd.Series[Any]) -> Float[ndarray, "N"]:
    """A column as floats with NaN for missing values.

    Raises
    ------
    DataError
        If a value is no number.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):  # booleans are numeric
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = pd.to_numeric(column.astype("str"), errors="coerce")
    broken = column[numbers.isna() & column.notna()]
    if len(broken):
        raise DataError(
            f"column {str(column.name)!r} must hold numbers but holds text such as "
            f"{str(broken.iloc[0])!r} in {amount(len(broken), 'row')}; correct them or leave them "
            "empty"
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _vectors(table: Table, name: str, width: int) -> Num[ndarray, "N D"]:
    if name not in table.vectors:
        raise DataError(
            f"column {name!r} of {table.source} must hold {width:,} numbers in every row, as in "
            "training"
        )
    matrix = table.vectors[name]
    if matrix.shape[1] != width:
        raise DataError(
            f"{name!r} of {table.source} has {amount(matrix.shape[1], 'feature')} a row but the "
            f"model was fitted on {width:,}; compute the features in the same way"
        )
    return matrix.astype(np.uint8) if matrix.dtype == np.bool_ else matrix


def _numbers(column: pd.Series[Any]) -> Float[ndarray, "N"]:
    """A column as floats, in float32 where that loses nothing.

    What is stored in more than 32 bits must also be so near to 0 that differences of whole numbers
    stay far above the rounding of float32, by which a feature is told from a constant one.
    """
    values, kind = as_numbers(column), column.dtype
    if isinstance(kind, np.dtype) and np.can_cast(kind, np.float32):
        return values.astype(np.float32)
    return _narrow(values, _NEAR_ZERO)


def _narrow(values: Float[ndarray, "N"], furthest: float) -> Float[ndarray, "N"]:
    """The values in float32 if they are the same there and none is further from 0, else as is."""
    if (np.abs(values) > furthest).any():
        return values
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(values, narrow, equal_nan=True) else values
