"""Values that JSON can hold."""

import json

import numpy as np
import pytest

from autobalance.plain import is_plain, plain


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
