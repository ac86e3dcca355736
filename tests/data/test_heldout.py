import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.heldout import held_out_split
from autobalance.errors import DataError


def codes(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=8),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 9),
)
def test_every_class_is_on_both_sides_by_its_share(sizes, share, seed):
    y = codes(sizes)
    train, held_out = held_out_split(y, range(len(sizes)), share, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(len(y)))
    for rows in (train, held_out):
        assert (np.diff(rows) > 0).all()
    found = np.bincount(y[held_out], minlength=len(sizes))
    for size, number in zip(sizes, found, strict=True):
        assert 1 <= number <= size - 1
        assert abs(number - share * size) <= max(0.5, 1 - share * size, share * size - size + 1)


def test_the_split_of_the_paper():
    sizes = [5000, 2997, 1797, 1077, 646, 387, 232, 139, 83, 50]
    y = codes(sizes)
    train, held_out = held_out_split(y, range(10), 0.2)
    assert np.bincount(y[held_out]).tolist() == [1000, 599, 359, 215, 129, 77, 46, 28, 17, 10]
    assert len(train) == sum(sizes) - len(held_out)


def test_the_seed_decides():
    y = codes([50, 50])
    first, again, other = (held_out_split(y, "ab", 0.2, seed).held_out for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 20.0, float("nan")])
def test_shares_that_are_none(share):
    with pytest.raises(DataError, match=f"the held-out share is {share} but must be between 0 and"):
        held_out_split(codes([5, 5]), "ab", share)


def test_a_class_that_cannot_be_on_both_sides_is_named():
    with pytest.raises(
        DataError, match="class 'cat' has a single example, so it cannot both be trained on and"
    ):
        held_out_split(codes([5, 1]), ["dog", "cat"], 0.2)
    with pytest.raises(DataError, match="class 'bird, water' has no example"):
        held_out_split(codes([5]), [("bird", "land"), ("bird", "water")], 0.2)


@pytest.mark.parametrize("code", [-1, 2])
def test_a_code_without_a_label_is_not_left_to_train(code):
    with pytest.raises(DataError, match=f"y holds the code {code}, which has no label among 2;"):
        held_out_split(np.array([0, 0, 1, 1, code]), "ab", 0.5)
