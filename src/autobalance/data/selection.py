"""Which columns of a table become features, of what kind, and what a user should know of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from autobalance.data.categorical import MAX_CATEGORIES, CategoricalColumn
from autobalance.data.numeric import as_numbers
from autobalance.data.values import Coded, distinct_values
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError

_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}
_CATEGORIES = {"string", "boolean", "categorical"}
_COUNTER_ROWS = 20
"""A table this long whose integer column only ever rises is taken to count its rows."""


@dataclass
class FeatureSelection:
    """The features of a table, column by column.

    Constant and empty columns are left out, and so is text that names single rows: more than
    :data:`~autobalance.data.categorical.MAX_CATEGORIES` values that on average repeat less than
    twice.

    Parameters
    ----------
    frame
        Columns of single values, training rows only.

    Attributes
    ----------
    numeric
        Names of the columns of numbers.
    categorical
        The columns of categories.

    Raises
    ------
    DataError
        If a column holds times, lists or other values that are neither numbers nor categories.
    """

    frame: pd.DataFrame
    numeric: list[str] = field(default_factory=list, init=False)
    categorical: list[CategoricalColumn] = field(default_factory=list, init=False)
    _useless: list[str] = field(default_factory=list, init=False)
    _identifiers: list[str] = field(default_factory=list, init=False)
    _counters: list[str] = field(default_factory=list, init=False)
    _gaps: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for _, column in self.frame.items():
            kind = pd.api.types.infer_dtype(column, skipna=True)
            if not column.notna().any():
                self._useless.append(str(column.name))
            elif kind in _NUMBERS:
                self._place_numbers(column)
            elif kind in _CATEGORIES:
                self._place_categories(column, distinct_values(column))
            else:
                raise DataError(
                    f"column {str(column.name)!r} holds {kind} values, neither numbers nor "
                    f"categories; leave it out with --drop {str(column.name)!r} or turn it into "
                    "numbers"
                )

    def _place_numbers(self, column: pd.Series[Any]) -> None:
        name = str(column.name)
        values = as_numbers(column)
        if np.nanmin(values) == np.nanmax(values):
            self._useless.append(name)
            return
        self.numeric.append(name)
        if (
            len(values) >= _COUNTER_ROWS
            and pd.api.types.is_integer_dtype(column.dtype)
            and (np.diff(values) > 0).all()
        ):
            self._counters.append(name)

    def _place_categories(self, column: pd.Series[Any], coded: Coded) -> None:
        name = str(column.name)
        gaps = int(column.isna().sum())
        distinct = len(coded.labels)
        if distinct == 1:
            self._useless.append(name)
        elif distinct > MAX_CATEGORIES and 2 * distinct > len(column) - gaps:
            self._identifiers.append(name)
        else:
            self.categorical.append(CategoricalColumn.fit(column, coded))
            if gaps:
                self._gaps[name] = gaps

    def notes(self) -> list[str]:
        """One sentence for each kind of choice that was made."""
        pooled = {
            column.name: f"{len(column.pooled)} of {len(column.pooled) + len(column.categories)}"
            for column in self.categorical
            if column.pooled
        }
        gaps = {name: amount(count, "row") for name, count in self._gaps.items()}
        sentences: list[tuple[str, Collection[str]]] = [
            ("Missing values are a category of their own in {}.", gaps),
            ("The rarest categories share one feature in {}.", pooled),
            ("Left out because all rows have the same value or none: {}.", self._useless),
            ("Left out because most of its texts occur only once: {}.", self._identifiers),
            (
                "Used as a feature although it rises with every row, as a row number does: {} "
                "(leave it out with --drop if it is one).",
                self._counters,
            ),
        ]
        return [text.format(listing(names)) for text, names in sentences if names]
