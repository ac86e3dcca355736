"""Policies: what they hold, what they refuse, and their way through plain values."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance.augmentation.operations import OPERATIONS, VECTORS
from autobalance.augmentation.policy import (
    SUB_POLICIES,
    Policy,
    policy_by_frequency,
    policy_for_images,
)
from autobalance.counts import Counts
from autobalance.errors import DesignError

HALF = np.full((2, 1, 1, 2), 0.5)
ON_IMAGES = sorted(name for name, each in OPERATIONS.items() if each.takes != VECTORS)


def a_policy(names=(("rotate", "invert"),), probability=HALF, magnitude=HALF * [1, 0]):
    return Policy(names, probability, magnitude)


@st.composite
def arguments_of_policies(draw):
    kind = draw(st.sampled_from([ON_IMAGES, ["ball"]]))
    length = draw(st.integers(1, 3))
    chain = st.lists(st.sampled_from(kind), min_size=length, max_size=length).map(tuple)
    names = tuple(draw(st.lists(chain, min_size=1, max_size=3)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 2)), len(names), length)
    share = hnp.arrays(np.float64, shape, elements=st.floats(0, 1))
    largest = np.array([[OPERATIONS[name].largest for name in each] for each in names])
    return names, draw(share), draw(share) * np.where(np.isinf(largest), 1e3, largest)


@given(arguments_of_policies())
def test_plain_values_come_back_exactly(arguments):
    policy = Policy(*arguments)
    plain = json.loads(json.dumps(policy.to_plain(), allow_nan=False))
    again = Policy.from_plain(plain)
    assert again == policy
    for name in ("probability", "magnitude"):
        assert getattr(again, name).tobytes() == getattr(policy, name).tobytes()
    assert again.to_plain() == policy.to_plain()


def test_what_a_policy_says_of_itself():
    policy = Policy.uniform(3, 2, probability=0.4, strength=0.5)
    assert policy.cells == (3, 2)
    assert policy.shape == (7, 2)
    assert policy.takes == "images"
    assert policy.largest[0].tolist() == [30.0, 0.9]
    assert policy.has_magnitude.sum() == 11
    assert (policy.probability == 0.4).all()
    assert policy.magnitude[1, 1, 0].tolist() == [15.0, 0.45]
    assert ((policy.magnitude > 0) == policy.has_magnitude).all()
    assert sorted(name for chain in SUB_POLICIES for name in chain) == ON_IMAGES


def test_a_ball_has_a_radius_for_each_cell_and_is_sure():
    policy = Policy.ball([[0.5, 0.25], [0.1, 0.0]])
    assert policy.takes == "vectors"
    assert policy.magnitude[:, :, 0, 0].tolist() == [[0.5, 0.25], [0.1, 0.0]]
    assert (policy.probability == 1).all()
    moved = Policy.uniform(2, 1, [("ball",)], strength=0.3)  # without a largest, the radius
    assert (moved.magnitude == 0.3).all()


def test_grey_images_go_without_what_needs_colours():
    colour, grey = (policy_for_images(4, 1, channels, strength=0.1) for channels in (3, 1))
    assert colour == Policy.uniform(4, strength=0.1)
    assert grey.sub_policies == SUB_POLICIES[:-1]
    assert all(each.channels is None for chain in grey.operations for each in chain)


def test_values_are_frozen_copies():
    values = HALF.copy()
    policy = a_policy(probability=values)
    values[:] = 0
    assert (policy.probability == 0.5).all()
    with pytest.raises(ValueError, match="read-only"):
        policy.probability[0] = 1.0


def test_equality():
    assert a_policy() == a_policy()
    assert a_policy() != a_policy(names=(("shear-x", "invert"),), magnitude=0 * HALF)
    assert a_policy() != a_policy(probability=HALF / 2)
    assert a_policy() != a_policy(magnitude=0 * HALF)
    assert a_policy() != "policy"
    with pytest.raises(TypeError, match="unhashable"):
        hash(a_policy())


def changed(at, value, table=HALF):
    values = np.array(table)
    values[at] = value
    return values


REFUSED = {
    "no sub-policy": ({"names": ()}, "the sub-policies () are not of one length; give each the"),
    "no operation": ({"names": ((),)}, "are not of one length; give each the same number of"),
    "unequal lengths": (
        {"names": (("rotate", "invert"), ("equalize",))},
        "(('rotate', 'invert'), ('equalize',)) are not of one length; give each the same number",
    ),
    "an unknown operation": (
        {"names": (("rotate", "blur"),)},
        "there is no operation 'blur'; use shear-x",
    ),
    "images and vectors": (
        {"names": (("rotate", "ball"),)},
        "the policy has operations on images and on vectors; give a policy of either",
    ),
    "too few dimensions": (
        {"probability": HALF[0]},
        "probability has shape (1, 1, 2) but the policy has 1 sub-policies of 2 operations; give "
        "(K, G, 1, 2)",
    ),
    "too few operations": ({"magnitude": HALF[..., :1]}, "magnitude has shape (2, 1, 1, 1) but"),
    "no class": ({"probability": HALF[:0]}, "probability has shape (0, 1, 1, 2) but"),
    "other cells": (
        {"magnitude": 0 * HALF[:1]},
        "probability has shape (2, 1, 1, 2) and magnitude (1, 1, 1, 2); give both the same cells",
    ),
    "a probability above 1": (
        {"probability": changed((1, 0, 0, 1), 1.5)},
        "the probability of invert is 1.5 for class 1 in group 0; use 0 to 1",
    ),
    "a negative probability": ({"probability": -HALF}, "the probability of rotate is -0.5 for"),
    "a probability of NaN": (
        {"probability": changed((0, 0, 0, 0), np.nan)},
        "the probability of rotate is nan for class 0 in group 0; use 0 to 1",
    ),
    "a magnitude out of range": (
        {"magnitude": changed((1, 0, 0, 0), 31, 0 * HALF)},
        "the magnitude of rotate is 31 for class 1 in group 0; use 0 to 30",
    ),
    "a magnitude of what has none": (
        {"magnitude": HALF},
        "the magnitude of invert is 0.5 for class 0 in group 0; use 0 to 0",
    ),
    "a magnitude of NaN": (
        {"magnitude": changed((0, 0, 0, 0), np.nan, 0 * HALF)},
        "the magnitude of rotate is nan",
    ),
}


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_policy_is_named(case):
    changes, message = REFUSED[case]
    with pytest.raises(DesignError, match=re.escape(message)):
        a_policy(**changes)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("radius", "message"),
    [
        ([[0.5], [-1]], "the magnitude of ball is -1 for class 1 in group 0; use a finite number"),
        ([[np.inf]], "the magnitude of ball is inf for class 0 in group 0; use a finite number of"),
        ([0.5, 0.1], "the radii have shape (2,); give one for each cell, (K, G)"),
    ],
)
def test_what_is_no_radius_is_named(radius, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        Policy.ball(radius)


def test_a_uniform_policy_is_refused_like_any():
    with pytest.raises(DesignError, match="are not of one length"):
        Policy.uniform(2, 1, [("rotate",), ("rotate", "invert")])
    with pytest.raises(DesignError, match="there is no operation 'blur'"):
        Policy.uniform(2, 1, [("blur",)])
    with pytest.raises(DesignError, match=r"the magnitude of shear-x is 0\.33 for class 0"):
        Policy.uniform(2, 1, [("shear-x",)], strength=1.1)


def damaged(**changes):
    return {**a_policy().to_plain(), **changes}


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"sub_policies": [["rotate"]]}, "the policy is damaged ('probability'); restore the file"),
        (None, "the policy is damaged ("),
        ([], "the policy is damaged ("),
        (damaged(sub_policies=3), "the policy is damaged ("),
        (damaged(sub_policies="ab"), "there is no operation 'a'"),
        (damaged(sub_policies=[]), "not of one length"),
        (damaged(probability="much"), "damaged (probability is not a table of numbers)"),
        (damaged(probability=[[[["0.5", "0.5"]]]] * 2), "probability is not a table of numbers"),
        (damaged(magnitude=[[[[True, False]]]] * 2), "magnitude is not a table of numbers"),
        (damaged(magnitude=[[[[None, 0]]]] * 2), "magnitude is not a table of numbers"),
        (damaged(magnitude=[[[[1, 0]]], [[[1]]]]), "magnitude is not a table of numbers"),
        (damaged(magnitude=[[[[10**400, 0]]]] * 2), "the policy is damaged (int too large to"),
        (damaged(magnitude={"a": 1}), "magnitude is not a table of numbers"),
        (damaged(probability=0.5), "probability has shape ()"),
        (damaged(probability=[]), "probability has shape (0,)"),
    ],
)
def test_damaged_plain_values_are_one_clear_sentence(entry, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        Policy.from_plain(entry)


def test_a_policy_by_frequency_runs_along_log_frequency():
    counts = Counts(np.array([[30.0], [60.0], [15.0]]), ("a", "b", "c"))
    policy = policy_by_frequency(counts, 1)
    rotated = policy.probability[:, 0, 0, 0]
    np.testing.assert_allclose(rotated, [0.4, 0.2, 0.6])  # the middle of the logarithms
    np.testing.assert_allclose(policy.magnitude[:, 0, 0, 0], 30 * rotated)
    np.testing.assert_allclose(
        policy.probability, np.broadcast_to(rotated[:, None, None, None], policy.probability.shape)
    )
    assert policy.sub_policies == policy_for_images(3, 1, 1).sub_policies
    assert policy_by_frequency(counts, 3, 0.3, 0.3) == policy_for_images(3, 1, 3)


def test_empty_cells_are_as_the_rarest_and_equal_ones_as_the_most_frequent():
    counts = Counts(np.array([[40.0, 0.0], [10.0, 20.0]]), ("a", "b"), ("x", "y"))
    level = policy_by_frequency(counts, 1, 0.1, 0.9).probability[:, :, 0, 0]
    np.testing.assert_allclose(level, [[0.1, 0.9], [0.9, 0.5]])
    equal = policy_by_frequency(Counts(np.array([[7.0], [7.0]]), ("a", "b")), 1, 0.1, 0.9)
    assert (equal.probability == 0.1).all()


@pytest.mark.parametrize("levels", [(-0.1, 0.5), (0.2, 1.1), (float("nan"), 0.5)])
def test_a_level_is_a_share(levels):
    counts = Counts(np.array([[40.0], [10.0]]), ("a", "b"))
    with pytest.raises(DesignError, match=r"the level of the policy is .*; use 0 to 1"):
        policy_by_frequency(counts, 1, *levels)
