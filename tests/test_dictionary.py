"""Dictionaries: their matrices against the rules they state, and the choice of the default."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance.counts import Counts
from autobalance.dictionary import choose_dictionary, make_dictionary
from autobalance.errors import DesignError


def counts_of(values):
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    groups = None if values.shape[1] == 1 else tuple(range(values.shape[1]))
    return Counts(values, tuple(range(len(values))), groups)


some_values = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=st.integers(1, 50)
)
names = st.one_of(
    st.sampled_from(
        ["class", "group", "cell", "log-prior", "cell-log-prior", "one", "line", "cell-line"]
    ),
    st.builds("cluster:{}".format, st.integers(1, 12)),
    st.builds("cell-cluster:{}".format, st.integers(1, 12)),
    st.builds("rank:{}".format, st.integers(2, 12)),
    st.builds("cell-rank:{}".format, st.integers(2, 12)),
)


@given(some_values, names)
def test_every_column_is_used_and_every_row_shares_one(values, name):
    counts = counts_of(values)
    dictionary = make_dictionary(name, counts)
    assert dictionary.name == name
    assert dictionary.matrix.shape == (counts.values.size, dictionary.size)
    if "log-prior" not in name and "line" not in name:
        np.testing.assert_allclose(dictionary.matrix.sum(axis=1), 1.0, rtol=1e-12)
        assert (dictionary.matrix >= 0).all()
        assert (dictionary.matrix != 0).any(axis=0).all()
    if not name.startswith(("cell", "group")):
        by_class = dictionary.matrix.reshape(*counts.values.shape, -1)
        assert (by_class == by_class[:, :1]).all()


@given(some_values, st.integers(1, 12), st.booleans())
def test_clusters_hold_neighbours_in_frequency(values, size, by_cell):
    counts = counts_of(values)
    sizes = counts.values.ravel() if by_cell else counts.per_class
    matrix = make_dictionary(f"{'cell-' if by_cell else ''}cluster:{size}", counts).matrix
    if not by_cell:
        matrix = matrix[:: counts.n_groups]
    clusters = -(-len(sizes) // size)
    assert matrix.shape[1] == clusters
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))  # ties by index
    for place, unit in enumerate(order):
        np.testing.assert_array_equal(matrix[unit], np.arange(clusters) == place // size)


def test_rank_is_piecewise_linear_in_the_frequency_rank():
    matrix = make_dictionary("rank:3", counts_of([5, 90, 40, 40, 10])).matrix
    values = matrix @ np.array([1.0, 0.0, 4.0])  # at the most frequent, the middle, the rarest
    np.testing.assert_allclose(values, [4.0, 1.0, 0.5, 0.0, 2.0])


@given(some_values, names)
def test_the_product_and_the_rank_are_those_of_the_matrix(values, name):
    counts = counts_of(values)
    dictionary, groups = make_dictionary(name, counts), counts.n_groups
    alpha = torch.linspace(-1, 2, dictionary.size, dtype=torch.float64, requires_grad=True)
    product = dictionary @ alpha
    np.testing.assert_allclose(product.detach().numpy(), dictionary.matrix @ alpha.detach().numpy())
    (slope,) = torch.autograd.grad(product @ torch.arange(counts.values.size).double(), alpha)
    np.testing.assert_allclose(
        slope.numpy(), dictionary.matrix.T @ np.arange(counts.values.size), rtol=1e-12, atol=1e-12
    )
    by_group = np.tile(np.eye(groups), (counts.n_classes, 1))
    for removed in (np.zeros((len(by_group), 0)), by_group.sum(1, keepdims=True), by_group):
        moved = dictionary.matrix - removed @ np.linalg.pinv(removed) @ dictionary.matrix
        assert dictionary.rank_without(removed) == np.linalg.matrix_rank(moved, tol=1e-6)


def test_ranks_have_no_more_knots_than_classes():
    np.testing.assert_array_equal(
        make_dictionary("rank:4", counts_of([1, 3])).matrix, [[0, 1], [1, 0]]
    )


def test_log_prior_is_the_log_of_the_share():
    counts = counts_of([[6, 2], [1, 1]])
    np.testing.assert_allclose(
        make_dictionary("log-prior", counts).matrix[:, 0], np.log([0.8, 0.8, 0.2, 0.2])
    )
    np.testing.assert_allclose(
        make_dictionary("cell-log-prior", counts).matrix[:, 0], np.log([0.6, 0.2, 0.1, 0.1])
    )


def test_one_is_the_same_for_all():
    matrix = make_dictionary("one", counts_of([[6, 2], [1, 1]])).matrix
    np.testing.assert_array_equal(matrix, np.ones((4, 1)))


def test_group_is_the_same_for_all_classes_of_a_group():
    matrix = make_dictionary("group", counts_of([[5, 1, 2], [3, 4, 6]])).matrix
    np.testing.assert_array_equal(matrix, np.tile(np.eye(3), (2, 1)))


def test_line_is_straight_in_the_log_frequency_from_the_rarest_to_the_most_frequent():
    counts = counts_of([[60, 20], [3, 5], [30, 10]])  # classes of 80, 8 and 40
    matrix = make_dictionary("line", counts).matrix
    middle = 2 * np.log(40 / 8) / np.log(80 / 8) - 1
    np.testing.assert_array_equal(matrix[:, 0], 1)
    np.testing.assert_allclose(matrix[::2, 1], [1, -1, middle])
    matrix = make_dictionary("cell-line", counts).matrix
    steps = 2 * np.log(np.array([60, 20, 3, 5, 30, 10]) / 3) / np.log(20) - 1
    np.testing.assert_array_equal(matrix[:, 0], 1)
    np.testing.assert_allclose(matrix[:, 1], steps)


def test_line_has_no_slope_where_all_are_alike():
    np.testing.assert_array_equal(make_dictionary("line", counts_of([7, 7])).matrix, [[1, 0]] * 2)


def test_log_prior_counts_an_empty_cell_as_half_an_example():
    matrix = make_dictionary("cell-log-prior", counts_of([[6, 3], [0, 1]])).matrix
    np.testing.assert_allclose(matrix[:, 0], np.log(np.array([6, 3, 0.5, 1]) / 10.5))


@pytest.mark.parametrize(
    "name",
    [
        *("", "classes", "Class", "class:2", "cell-class", "cell-cell", "auto", "log-prior:2"),
        *("cell-one", "one:2", "line:2", "cell-one:2"),
        *("cluster", "cluster:0", "cluster:-1", "cluster:2.5", "cluster:2 ", "rank", "rank:1"),
    ],
)
def test_unknown_names_are_refused(name):
    with pytest.raises(DesignError, match="dictionary"):
        make_dictionary(name, counts_of([3, 4]))


@pytest.mark.parametrize(
    ("values", "kinds", "name"),
    [
        ([500, 100, 20], 2, "class"),
        ([500, 100, 19], 1, "log-prior"),  # three classes have nothing between
        ([500, 400, 300, 200, 100, 50, 30, 5], 2, "cluster:2"),
        ([500, 400, 300, 200, 100, 9, 8, 5], 2, "rank:4"),
        ([20] * 8, 3, "cluster:2"),  # 160 examples carry 16 values, not 24
        ([500, 3, 2, 2, 2, 2, 2, 2], 1, "log-prior"),
        ([[500, 100], [30, 400]], 2, "cell"),
        ([[500, 100], [3, 400]], 2, "cell-log-prior"),
        ([[500, 100], [0, 400]], 2, "cell"),  # an empty cell holds nothing that could be seen
    ],
)
def test_default_is_the_finest_that_held_out_examples_carry(values, kinds, name):
    assert choose_dictionary(counts_of(values), kinds).name == name


@given(some_values, st.integers(1, 3), st.floats(0.1, 1.0))
def test_default_obeys_its_rule(values, kinds, share):
    counts = counts_of(values)
    dictionary = choose_dictionary(counts, kinds, share)
    np.testing.assert_array_equal(
        dictionary.matrix, make_dictionary(dictionary.name, counts).matrix
    )
    if "log-prior" not in dictionary.name:
        held_out = share * counts.values.ravel()
        assert all(held_out[column != 0].sum() >= 20 for column in dictionary.matrix.T)
        assert held_out.sum() >= 10 * kinds * dictionary.size


def test_fewer_held_out_examples_make_it_coarser():
    counts = counts_of([500, 400, 300, 200, 100, 50, 30, 25])
    sizes = [choose_dictionary(counts, 2, share).size for share in (1.0, 0.5, 0.1, 0.01)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) >= 3


def test_reason_names_the_numbers():
    assert choose_dictionary(counts_of([480, 100, 20]), 2).reason == (
        "one value per class: its rarest column sees 20 held-out examples "
        "and there are 100 for each searched value"
    )
    coarser = choose_dictionary(counts_of([500, 400, 300, 200, 100, 50, 30, 5]), 2).reason
    assert "one value per cluster of 2 classes: its rarest column sees 35" in coarser
    assert coarser.endswith("one value per class would leave 5 for the rarest")
    assert "too few held-out examples (41)" in choose_dictionary(counts_of([30, 8, 3]), 3).reason


def test_thousands_of_classes_are_fast():
    counts = counts_of(np.maximum(2, 1000 * np.exp(-np.arange(8142) / 1000)).round())
    before = time.perf_counter()
    dictionary = choose_dictionary(counts, 3)
    assert time.perf_counter() - before < 5
    assert dictionary.name == "cluster:16"
    assert make_dictionary("rank:4", counts).size == 4
