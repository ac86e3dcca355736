"""The numeric part of a table: one matrix without gaps, from columns and from vectors alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num
from numpy import ndarray

from autobalance.data.tables import Table
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError


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
            If a value is infinite, or a component of a vector is missing in every row.
        """
        widths = {name: matrix.shape[1] for name, matrix in table.vectors.items()}
        part = cls(tuple(columns), widths, ())
        values = part.read(table)
        gaps = np.isnan(values)
        empty = np.flatnonzero(gaps.all(axis=0))
        if len(empty):
            names = [part.feature_names[j] for j in empty]
            raise DataError(
                f"feature {listing(names)} of {table.source} has no value in any row; leave it out"
            )
        median = np.nanmedian if gaps.any() else np.median
        medians = tuple(median(values, axis=0).tolist())
        return cls(part.columns, widths, medians), gaps.sum(axis=0)

    @property
    def feature_names(self) -> list[str]:
        """The column names, then ``name[j]`` for component j of a vector."""
        components = [f"{name}[{j}]" for name, width in self.widths.items() for j in range(width)]
        return [*self.columns, *components]

    def read(self, table: Table) -> Float[ndarray, "N P"]:
        """The values with NaN for gaps, in float32 if no column needs more, else float64.

        Raises
        ------
        DataError
            If text stands where training had numbers, a vector has another length, or a value is
            infinite.
        """
        parts = [as_numbers(column)[:, None] for _, column in table.columns(self.columns).items()]
        parts += [_vectors(table, name, width) for name, width in self.widths.items()]
        kind = np.result_type(np.float32, *parts)
        values = np.hstack(parts, dtype=kind) if parts else np.empty((len(table), 0), kind)
        infinite = np.isinf(values).sum(axis=0)
        if infinite.any():
            first = int(np.flatnonzero(infinite)[0])
            raise DataError(
                f"column {self.feature_names[first]!r} of {table.source} holds infinite values in "
                f"{amount(int(infinite[first]), 'row')}; "
                "replace them by numbers or leave them empty"
            )
        return values

    def transform(self, table: Table) -> tuple[Float[ndarray, "N P"], Int[ndarray, "P"]]:
        """The values with every gap filled, and how many gaps each feature had.

        Raises as :meth:`read` does.
        """
        values = self.read(table)
        gaps = np.isnan(values)
        if gaps.any():
            values = np.where(gaps, np.array(self.medians, dtype=values.dtype), values)
        return values, gaps.sum(axis=0)


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
            f"column {str(column.name)!r} held numbers in training but holds text such as "
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
