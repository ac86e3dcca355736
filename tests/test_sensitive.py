"""Groups from arrays."""

import numpy as np
import pandas as pd
import pytest

from autobalance.errors import DataError
from autobalance.sensitive import encode_sensitive


def test_labels_are_sorted_with_missing_last():
    groups = encode_sensitive(["b", None, "a", "b"], 4)
    assert groups.labels == ("a", "b", None)
    assert groups.codes.tolist() == [1, 2, 0, 1]


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT])
def test_every_kind_of_missing_is_one_group(missing):
    groups = encode_sensitive(np.array([3, missing, 1, np.nan], dtype=object), 4)
    assert groups.labels == (1, 3, None)


def test_one_column_is_the_same_as_a_vector():
    column = pd.DataFrame({"sex": ["f", "m", "f"]})
    assert encode_sensitive(column, 3).labels == encode_sensitive(column["sex"], 3).labels


def test_columns_combine_into_tuples():
    table = pd.DataFrame({"sex": ["f", "m", "f"], "age": [1, 2, 1]})
    groups = encode_sensitive(table, 3)
    assert groups.labels == (("f", 1), ("m", 2))
    assert groups.codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize("features", [["a", "b"], np.zeros((3, 1, 1)), "a"])
def test_other_shapes_are_refused(features):
    with pytest.raises(DataError, match="3 rows"):
        encode_sensitive(features, 3)
