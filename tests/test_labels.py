"""Labels from tables and arrays, and their way through JSON."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.errors import DataError
from autobalance.labels import as_label, label_from_json, label_text, label_to_json

plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text()
labels = st.recursive(plain, lambda parts: st.lists(parts, max_size=3).map(tuple), max_leaves=6)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("a", "a"),
        (np.str_("a"), "a"),
        (np.int64(3), 3),
        (np.float32(2.0), 2.0),
        (np.bool_(True), True),
        (b"caf\xc3\xa9", "café"),
        (np.bytes_(b"a"), "a"),
        (b"\xff", "\\xff"),
        (None, None),
        (float("nan"), None),
        (np.float64("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
        (decimal.Decimal("NaN"), None),
        ([1, np.nan], (1, None)),
        (("f", (np.int8(1), pd.NA)), ("f", (1, None))),
        (np.datetime64("2020-01-02", "ns"), "2020-01-02T00:00:00.000000000"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (pd.Timestamp("2020-01-02"), "2020-01-02 00:00:00"),
    ],
)
def test_plain_labels(value, label):
    found = as_label(value)
    assert found == label
    assert type(found) is type(label)


@pytest.mark.parametrize("value", [np.inf, -np.inf, ("a", np.float32("inf"))])
def test_infinite_labels_are_refused(value):
    with pytest.raises(DataError, match="inf is not a label; replace infinite values"):
        as_label(value)


@given(labels)
def test_labels_are_what_as_label_gives(label):
    assert as_label(label) == label


@given(labels)
def test_json_round_trip_keeps_value_and_type(label):
    text = json.dumps(label_to_json(label), allow_nan=False)
    assert repr(label_from_json(json.loads(text))) == repr(label)


@pytest.mark.parametrize("value", [{}, float("inf"), float("nan"), ["a", [{"b": 1}]], object()])
def test_no_label(value):
    with pytest.raises(ValueError, match="is not a label; a label is a string"):
        label_from_json(value)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("a", "a"),
        (None, "missing"),
        (("f", None, 3), "f, missing, 3"),
        (2.0, "2.0"),
        (False, "False"),
    ],
)
def test_text(label, text):
    assert label_text(label) == text
