"""Counts of cells, from arrays and from codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.counts import Counts
from autobalance.errors import DataError

BIRDS = Counts(np.array([[30.0, 10.0], [0.0, 60.0]]), ("land", "water"), ("forest", None))


def test_sizes_and_shares():
    assert (BIRDS.n_classes, BIRDS.n_groups) == (2, 2)
    np.testing.assert_array_equal(BIRDS.per_class, [40.0, 60.0])
    np.testing.assert_array_equal(BIRDS.frequencies, [[0.3, 0.1], [0.0, 0.6]])
    np.testing.assert_array_equal(BIRDS.present, [[True, True], [False, True]])


def test_names_of_cells():
    assert BIRDS.cell_name(1, 0) == "class 'water' in group 'forest'"
    assert BIRDS.cell_name(0, 1) == "class 'land' in group 'missing'"
    assert Counts(np.ones((2, 1)), (0, 1)).cell_name(1, 0) == "class '1'"


def test_names_of_cells_of_labels():
    counts = Counts(np.ones((2, 1)), ("negative", "positive"), ("rash",), multilabel=True)
    assert counts.cell_name(1, 0) == "label 'rash', positive"
    assert counts.class_name(1) == "class 'positive'"
    assert counts != Counts(np.ones((2, 1)), ("negative", "positive"), ("rash",))
    with pytest.raises(DataError, match="two classes and the labels as groups"):
        Counts(np.ones((2, 1)), ("negative", "positive"), multilabel=True)


def test_values_are_a_frozen_copy():
    values = np.ones((2, 1))
    counts = Counts(values, (0, 1))
    values[0] = 7.0
    assert counts.values[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        counts.values[0, 0] = 2.0


def test_labels_become_plain():
    counts = Counts(np.ones((2, 1)), tuple(np.array(["a", "b"])))
    assert counts.classes == ("a", "b")
    assert type(counts.classes[0]) is str


def test_equality():
    same = Counts(BIRDS.values.copy(), BIRDS.classes, BIRDS.groups)
    assert same == BIRDS
    assert Counts(BIRDS.values, ("land", "sea"), BIRDS.groups) != BIRDS
    assert Counts(BIRDS.values + 1, BIRDS.classes, BIRDS.groups) != BIRDS
    assert BIRDS != "counts"
    with pytest.raises(TypeError, match="unhashable"):
        hash(BIRDS)


@given(
    cells=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=30),
    grouped=st.booleans(),
    seed=st.none() | st.integers(0, 100),
    dtype=st.sampled_from([np.int64, np.int8, np.uint8]),
)
def test_from_codes_counts_like_a_loop(cells, grouped, seed, dtype):
    cells += [(0, 0), (1, 0), (2, 0)]  # no class without an example
    weights = None if seed is None else np.random.default_rng(seed).random(len(cells)) + 0.1
    expected = np.zeros((3, 2 if grouped else 1))
    for i, (k, j) in enumerate(cells):
        expected[k, j if grouped else 0] += 1.0 if weights is None else weights[i]
    y, g = np.array(cells, dtype=dtype).T
    counts = Counts.from_codes(
        y, g if grouped else None, "abc", ("x", "y") if grouped else None, weights
    )
    np.testing.assert_allclose(counts.values, expected)
    assert counts.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("values", "classes", "groups", "message"),
    [
        ([[1.0], [2.0]], ("a",), None, r"shape \(2, 1\) but the labels need \(1, 1\)"),
        ([[1.0], [2.0]], ("a", "b"), ("x", "y"), r"shape \(2, 1\) but the labels need \(2, 2\)"),
        ([1.0, 2.0], ("a", "b"), None, r"shape \(2,\)"),
        (np.ones((0, 1)), (), None, "at least one of each"),
        (np.ones((1, 0)), ("a",), (), "at least one of each"),
        ([[1.0], [-1.0]], ("a", "b"), None, "finite and not negative"),
        ([[1.0], [np.nan]], ("a", "b"), None, "finite and not negative"),
        ([[1.0], [np.inf]], ("a", "b"), None, "finite and not negative"),
        ([[1.7e308], [1.7e308]], ("a", "b"), None, "finite and not negative"),
        ([[1.0], [1.0]], ("a", "a"), None, "class label 'a' appears twice"),
        ([[1.0], [1.0]], (1, True), None, "class label True appears twice"),
        ([[1.0, 1.0]], ("a",), (np.nan, None), "group label None appears twice"),
        ([[1.0], [0.0]], ("a", None), None, "class 'missing' has no example; leave it out"),
    ],
)
def test_refused_counts(plain_calls, values, classes, groups, message):
    with pytest.raises(DataError, match=message):
        Counts(np.array(values), classes, groups)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 2], None, "ab"), "class code 2 of example 1 is not in 0..1; codes are positions"),
        (([-1, 0], None, "ab"), "class code -1 of example 0"),
        (([0, 1], [0, 5], "ab", "xy"), "group code 5 of example 1 is not in 0..1"),
        (([0, 1], [0, -1], "ab", "xy"), "group code -1 of example 1"),
        (([0, 1], [0, 1], "ab"), "give both or neither"),
        (([0, 1], None, "ab", "xy"), "give both or neither"),
        (([0, 1], [0], "ab", "xy"), "2 class codes but 1 group codes"),
        (([0, 1], None, "ab", None, [1.0]), "2 class codes but 1 sample weights"),
        (([0, 0], None, "ab"), "class 'b' has no example"),
        (([0, 1], None, "ab", None, [1.0, np.nan]), "check the sample weights"),
    ],
)
def test_refused_codes(plain_calls, arguments, message):
    arrays = (np.array(part) if isinstance(part, list) else part for part in arguments)
    with pytest.raises(DataError, match=message):
        Counts.from_codes(*arrays)
