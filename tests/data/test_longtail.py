import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.longtail import (
    digits_long_tailed,
    long_tailed_counts,
    long_tailed_indices,
)
from autobalance.errors import DataError


def test_cifar10_counts_of_both_rules():
    # The two published sizes of CIFAR-10-LT with an imbalance of 100.
    assert long_tailed_counts(5000, 10, 100.0).sum() == 12_414
    assert long_tailed_counts(5000, 10, 100.0, "floor").sum() == 12_406
    assert long_tailed_counts(500, 100, 100.0, "floor").sum() == 10_847  # CIFAR-100-LT


@given(
    n_max=st.integers(1, 5000),
    n_classes=st.integers(2, 200),
    ratio=st.floats(1, 1000),
)
def test_counts_fall_from_the_largest_to_its_share(n_max, n_classes, ratio):
    counts = long_tailed_counts(n_max, n_classes, ratio)
    assert counts[0] == n_max
    assert abs(counts[-1] - n_max / ratio) <= 1
    assert (np.diff(counts) <= 0).all()
    assert counts.min() >= 1


def test_first_examples_of_each_class_in_order():
    y = np.array([1, 0, 1, 0, 2, 1, 0, 2, 0, 2, 1, 2])
    chosen = long_tailed_indices(y, ratio=4.0)
    assert np.bincount(y[chosen]).tolist() == [4, 2, 1]
    assert chosen.tolist() == [0, 1, 2, 3, 4, 6, 8]
    assert long_tailed_indices(y, ratio=1.0).tolist() == list(range(12))


@given(n_max=st.integers(1, 500), ratio=st.integers(1, 500), n_classes=st.integers(2, 12))
def test_the_smallest_class_has_exactly_its_share(n_max, ratio, n_classes):
    assert long_tailed_counts(n_max, n_classes, float(ratio))[-1] == -(-n_max // ratio)
    if n_max >= ratio:
        assert long_tailed_counts(n_max, n_classes, float(ratio), "floor")[-1] == n_max // ratio


def test_the_largest_class_may_have_more_than_the_smallest_could_give():
    y = np.repeat([0, 1, 2], [100, 40, 10])
    assert np.bincount(y[long_tailed_indices(y, 10.0, n_max=100)]).tolist() == [100, 32, 10]
    assert np.bincount(y[long_tailed_indices(y, 10.0, "floor", 90)]).tolist() == [90, 28, 9]
    with pytest.raises(
        DataError, match="from 100 examples of class 0 needs 50 of class 1, which has 40; start"
    ):
        long_tailed_indices(y, 4.0, n_max=100)
    with pytest.raises(DataError, match="needs 101 of class 0, which has 100"):
        long_tailed_indices(y, 100.0, n_max=101)


def test_unequal_classes_can_all_serve_their_share():
    y = np.repeat([0, 1], [100, 10])
    assert np.bincount(y[long_tailed_indices(y, ratio=2.0)]).tolist() == [10, 5]


@pytest.mark.parametrize("ratio", [0.5, -1.0, float("nan"), float("inf")])
def test_ratios_that_are_none(ratio):
    with pytest.raises(DataError, match=f"the imbalance ratio is {ratio} but must be 1 or more"):
        long_tailed_counts(10, 2, ratio)


def test_an_empty_class_and_a_lone_class():
    with pytest.raises(DataError, match=r"ratio of 100 leaves class 1 without an example; .* 10$"):
        long_tailed_counts(10, 2, 100.0, "floor")
    with pytest.raises(DataError, match="at least two classes"):
        long_tailed_counts(10, 1, 2.0)
    with pytest.raises(DataError, match="class 0 is to get 0 examples but must get 1 or more"):
        long_tailed_counts(0, 2, 2.0)


def test_codes_with_a_gap_and_no_codes():
    with pytest.raises(DataError, match="class 1 has no example to take; number the classes"):
        long_tailed_indices(np.array([0, 2, 2]), 2.0)
    with pytest.raises(DataError, match="at least two classes"):
        long_tailed_indices(np.array([], dtype=int), 2.0)


def test_digits():
    digits = digits_long_tailed()
    train, test = np.bincount(digits.train_target), np.bincount(digits.test_target)
    assert train[0] / train[9] == pytest.approx(20, rel=0.15)
    assert (np.diff(train) < 0).all()
    assert train[9] > 5
    assert test.max() - test.min() <= 4
    assert digits.train_features.shape == (train.sum(), 64)
    together = np.vstack([digits.train_features, digits.test_features])
    assert len(np.unique(together, axis=0)) == len(together)  # no digit on both sides


def test_digits_follow_the_seed():
    first, again, other = (digits_long_tailed(seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train_features, again.train_features)
    assert not np.array_equal(first.test_features, other.test_features)
