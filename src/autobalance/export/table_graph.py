"""The table encoder as operators, with one input a column, so that raw rows can be fed."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from autobalance.data.categorical import CategoricalColumn, category_texts
from autobalance.data.encoder import TableEncoder
from autobalance.data.numeric import NumericPart, as_numbers
from autobalance.data.tables import Table
from autobalance.data.values import distinct_values
from autobalance.errors import DataError
from autobalance.export.graph import Graph

MISSING = ""
"""The text that stands for a missing category: ONNX has none. A missing number is NaN."""


def add_encoder(graph: Graph, encoder: TableEncoder) -> str:
    """Features (N, D) in float64 from an input (N, 1) a column, and one (N, width) a vector.

    Numbers and vectors are float64, as the encoder takes them, and categories are texts.

    Raises
    ------
    DataError
        If a category is the empty text, or two columns have one name.
    """
    parts = [_numbers(graph, encoder.numeric)] if encoder.numeric.medians else []
    parts += [_indicators(graph, column) for column in encoder.categorical]
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)


def table_feeds(encoder: TableEncoder, table: Table) -> dict[str, ndarray]:
    """The rows of a table as the inputs of :func:`add_encoder`.

    Raises
    ------
    DataError
        If a column is missing or holds text instead of numbers.
    """
    feeds: dict[str, ndarray] = {
        str(name): as_numbers(column)[:, None]
        for name, column in table.columns(encoder.numeric.columns).items()
    }
    for name in encoder.numeric.widths:
        feeds[name] = table.vectors[name].astype(np.float64)
    for each in encoder.categorical:
        coded = distinct_values(table.column(each.name))
        texts = [MISSING if text is None else text for text in category_texts(coded)]
        feeds[each.name] = np.array(texts, dtype=object)[coded.codes, None]
    return feeds


def _numbers(graph: Graph, numeric: NumericPart) -> str:
    """Columns and vectors side by side, gaps filled with the medians."""
    inputs = [graph.input(name, np.float64, 1) for name in numeric.columns]
    inputs += [graph.input(name, np.float64, width) for name, width in numeric.widths.items()]
    values = inputs[0] if len(inputs) == 1 else graph.add("Concat", *inputs, axis=1)
    medians = graph.constant(np.array(numeric.medians)[None])
    return graph.add("Where", graph.add("IsNaN", values), medians, values)


def _indicators(graph: Graph, column: CategoricalColumn) -> str:
    """The row of an identity matrix for each category; the last row, at -1, is for none."""
    places = column.places
    if MISSING in places:
        raise DataError(
            f"column {column.name!r} has the empty text as a category, which in an ONNX graph "
            "stands for a missing value; give that category a name and fit again"
        )
    code = graph.add(
        "LabelEncoder",
        graph.input(column.name, object, 1),
        keys_strings=[MISSING if text is None else text for text in places],
        values_int64s=list(places.values()),
        default_int64=column.place_of_unseen,
    )
    width = len(column.feature_names)
    rows = graph.constant(np.eye(width + 1, width))
    flat = graph.add("Reshape", code, graph.constant(np.array([-1])))
    return graph.add("Gather", rows, flat, axis=0)
