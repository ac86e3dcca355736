"""The table encoder inside ONNX: the same features, whatever the values of the rows."""

import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobalance import DataError
from autobalance.data.encoder import TableEncoder
from autobalance.data.tables import Table
from autobalance.export import table_feeds
from autobalance.export.graph import Graph
from autobalance.export.table_graph import add_encoder


def features(encoder, table):
    """What the graph makes of the rows, and what the encoder does."""
    graph = Graph()
    graph.output("features", add_encoder(graph, encoder), np.float64, len(encoder.feature_names))
    session = onnxruntime.InferenceSession(graph.to_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unseen categories, which are meant
        expected = encoder.transform(table)
    return session.run(None, table_feeds(encoder, table))[0], expected


TEXTS = st.sampled_from(["red", "green", "blue", "ß\u2028 x", "1", None])
NUMBERS = st.one_of(st.none(), st.floats(-1e300, 1e300), st.integers(-5, 5).map(float))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(NUMBERS, TEXTS, st.booleans()), min_size=4, max_size=12),
    st.lists(st.tuples(NUMBERS, TEXTS, st.booleans()), min_size=1, max_size=12),
)
def test_the_graph_makes_the_features_of_the_encoder(training, rows):
    def table(values):
        frame = pd.DataFrame(values, columns=["a number", "text", "flag"])
        matrix = np.arange(2.0 * len(frame), dtype=np.float32).reshape(-1, 2)
        return Table("t", frame.astype({"a number": float}), {"vector": matrix})

    encoder = TableEncoder.fit(table(training))
    found, expected = features(encoder, table(rows))
    assert np.array_equal(found, expected)


def test_rare_categories_and_unseen_ones_share_a_feature():
    many = pd.DataFrame({"city": [f"c{i % 60:02}" for i in range(239)], "n": np.arange(239.0)})
    encoder = TableEncoder.fit(Table("t", many, {}))
    assert encoder.categorical[0].pooled
    rows = pd.DataFrame({"city": ["c00", "c59", "new", None], "n": [1.0, np.nan, 2.0, 3.0]})
    found, expected = features(encoder, Table("t", rows, {}))
    assert np.array_equal(found, expected)
    assert found[:, -1].tolist() == [0.0, 1.0, 1.0, 1.0]


def test_a_category_that_is_the_empty_text_is_refused():
    frame = pd.DataFrame({"text": ["", "a", "", "a", "b"], "n": np.arange(5.0)})
    encoder = TableEncoder.fit(Table("t", frame, {}))
    with pytest.raises(DataError, match="column 'text' has the empty text as a category"):
        add_encoder(Graph(), encoder)
