"""From the columns of a table to a numeric matrix, the same way at fit and at predict time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from autobalance.data.categorical import CategoricalColumn
from autobalance.data.numeric import NumericPart
from autobalance.data.selection import FeatureSelection
from autobalance.data.tables import Table
from autobalance.data.values import distinct_values
from autobalance.data.wording import amount, listing
from autobalance.errors import ArtifactError, DataError
from autobalance.storage import DAMAGED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableEncoder:
    """Numbers stay numbers and categories become indicators; every choice is a plain value.

    Missing numbers are filled with the median of training, and missing categories are a category of
    their own. Columns that cannot help are left out (:class:`FeatureSelection` says which). Nothing
    is scaled: the estimator standardises.

    The state is plain values rather than fitted transformers, so that it can be saved as JSON and
    means the same under every version of the libraries.

    Parameters
    ----------
    numeric
        The columns of numbers and the vectors; their features come first.
    categorical
        The columns of categories.
    notes
        Sentences on what was filled, pooled or left out. They belong to the fit and are not part of
        the state.
    """

    numeric: NumericPart
    categorical: tuple[CategoricalColumn, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def fit(cls, table: Table) -> TableEncoder:
        """Learn from all columns of ``table``, which are the features of the training rows.

        Raises
        ------
        DataError
            If a column holds times, lists or other values that are neither numbers nor categories,
            a number is infinite, or no column is left.
        """
        selection = FeatureSelection(table.frame)
        if not (selection.numeric or selection.categorical or table.vectors):
            raise DataError(
                " ".join([f"{table.source} has no usable feature column.", *selection.notes()])
            )
        numeric, gaps = NumericPart.fit(table, selection.numeric)
        notes = (*_filled(numeric, gaps), *selection.notes())
        return cls(numeric, tuple(selection.categorical), notes)

    @property
    def one_vector(self) -> bool:
        """Whether all features are the components of one vector, and so share a unit."""
        return not self.categorical and len(self.numeric.widths) == 1 and not self.numeric.columns

    @property
    def feature_names(self) -> list[str]:
        """The names of the P features, such as ``age``, ``features[7]`` or ``sex=Male``."""
        names = [column.feature_names for column in self.categorical]
        return [*self.numeric.feature_names, *(name for part in names for name in part)]

    @property
    def inputs(self) -> list[str]:
        """The columns that a table must have; it may have others, which are ignored."""
        return [
            *self.numeric.columns,
            *(column.name for column in self.categorical),
            *self.numeric.widths,
        ]

    def transform(self, table: Table) -> Float[ndarray, "N P"]:
        """The features of each row, finite, in the order of :attr:`feature_names`.

        They are float32 if the numbers all fit it without loss, as those of a float16 feature file
        or small whole numbers do, and float64 otherwise. Beside the table and the features there is
        memory for a few columns only.

        Warns
        -----
        UserWarning
            Once for all categories that training did not see. Such a value sets none of the
            column's features, or ``other`` if the column has it.

        Raises
        ------
        DataError
            If a column is missing, holds text instead of numbers or vectors of another length, or
            a number is infinite.
        """
        absent = [name for name in self.inputs if name not in table.names]
        if absent:
            raise DataError(
                f"{table.source} lacks {listing(absent)}, which the model was fitted on; add the "
                f"column{'s' * (len(absent) > 1)}"
            )
        shape = (len(table), len(self.feature_names))
        features = np.zeros(shape, dtype=self.numeric.dtype(table))
        place = len(self.numeric.medians)
        gaps = self.numeric.write(table, features[:, :place])
        for sentence in _filled(self.numeric, gaps):
            logger.info("%s: %s", table.source, sentence)
        unseen = {}
        for column in self.categorical:
            coded = distinct_values(table.column(column.name))
            end = place + len(column.feature_names)
            if new := column.mark(coded, features[:, place:end]):
                unseen[column.name] = new
            place = end
        if unseen:
            warnings.warn(
                f"{table.source} has categories that training did not see, which count as "
                "unknown: "
                + "; ".join(f"{name!r} has {listing(new)}" for name, new in unseen.items()),
                stacklevel=2,
            )
        return features

    def to_state(self) -> dict[str, Any]:
        """The encoder as a dict that JSON can hold; :meth:`from_state` restores it exactly."""
        return {
            "numeric": asdict(self.numeric),
            "categorical": [asdict(column) for column in self.categorical],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TableEncoder:
        """Inverse of :meth:`to_state`, also after a passage through JSON.

        Raises
        ------
        ArtifactError
            If the state is damaged.
        """
        try:
            numeric = state["numeric"]
            part = NumericPart(
                _texts(numeric["columns"]),
                {str(name): int(width) for name, width in numeric["widths"].items()},
                tuple(float(median) for median in numeric["medians"]),
            )
            if len(part.columns) + sum(part.widths.values()) != len(part.medians):
                raise ValueError("it needs one median per numeric feature")
            if not np.isfinite(part.medians).all():
                raise ValueError("a median is not finite")
            columns = tuple(
                CategoricalColumn(
                    str(column["name"]),
                    _texts(column["categories"]),
                    _texts(column["pooled"]),
                    bool(column["missing"]),
                )
                for column in state["categorical"]
            )
        except DAMAGED as error:
            raise ArtifactError(
                f"the saved table encoder is damaged ({error!s}); fit the model again"
            ) from error
        return cls(part, columns)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(text, str) for text in values):
        raise TypeError("names must be a list of strings")
    return tuple(values)


def _filled(numeric: NumericPart, gaps: Int[ndarray, "P"]) -> list[str]:
    """The sentence on filled gaps, with the gaps of a vector summed over its components."""
    widths = dict.fromkeys(numeric.columns, 1) | dict(numeric.widths)
    filled, start = {}, 0
    for name, width in widths.items():
        if count := int(gaps[start : start + width].sum()):
            filled[name] = amount(count, "value")
        start += width
    return [f"Missing values filled with the median in {listing(filled)}."] if filled else []
