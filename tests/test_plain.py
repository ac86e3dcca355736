"""Values that JSON can hold."""

import json

import numpy as np
import pytest

from autobalance.plain import is_plain, numbers, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.array(["a", "b"]), ["a", "b"]),
        (("a", np.bool_(True)), ["a", True]),
        (None, None),
    ],
)
def test_numpy_becomes_python(value, expected):
    found = plain(value)
    assert found == expected
    assert is_plain(found)
    assert json.loads(json.dumps(found)) == expected


@pytest.mark.parametrize("value", [object(), [object()], {"a": object()}, {1: "a"}])
def test_what_json_cannot_hold_is_said(value):
    assert not is_plain(plain(value))


def test_tables_of_numbers_are_read_back():
    found = numbers({"a": [[1, 2.5], [3, 4]]}, "a")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1.0, 2.5], [3.0, 4.0]])


def test_a_table_of_very_many_dimensions_is_as_good_as_any():
    deep = 1.0
    for _ in range(60):
        deep = [deep]
    assert numbers({"a": deep}, "a").ndim == 60


@pytest.mark.parametrize("table", ["1", None, {"a": 1}, [[1, True]], [["1"]], [[1], [1, 2]]])
def test_what_is_no_table_of_numbers_is_refused(table):
    with pytest.raises(TypeError, match="values is not a table of numbers"):
        numbers({"values": table}, "values")
