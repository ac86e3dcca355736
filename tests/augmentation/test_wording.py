"""Policies in words."""

from dataclasses import replace

import numpy as np
import pytest

from autobalance.augmentation.operations import operation
from autobalance.augmentation.policy import Policy
from autobalance.augmentation.wording import entries, extent, lines, step, summary
from autobalance.counts import Counts

COUNTS = Counts(np.array([[50.0], [600.0], [5.0], [7.0]]), ("bag", "shirt", "hat", "coat"))
CHAINS = (("rotate", "brightness"), ("invert", "translate-x"))


def policy_with(classes=4, groups=1, **cells):
    """0.5 and 0.3 of the largest everywhere, but for some cells' probabilities."""
    policy = Policy.uniform(classes, groups, CHAINS, probability=0.5)
    probability = policy.probability.copy()
    for place, value in cells.items():
        probability[tuple(int(code) for code in place[1:])] = value
    return replace(policy, probability=probability)


def test_chains_are_told_in_order_and_without_numbers_they_do_not_have():
    assert lines(policy_with(), (0, 0)) == (
        "rotate by up to 9° with probability 0.5, then change brightness by up to 27% with "
        "probability 0.5",
        "invert with probability 0.5, then shift sideways by up to 14% of the width with "
        "probability 0.5",
    )


def test_what_hardly_happens_or_does_not_show_is_left_out():
    policy = policy_with(_0000=0.004, _0010=0.0, _0011=1.0)
    assert lines(policy, (0, 0)) == (
        "change brightness by up to 27% with probability 0.5",
        "shift sideways by up to 14% of the width",
    )
    assert lines(policy_with(_00=0.0), (0, 0)) == ("leave the image as it is",) * 2
    assert step(operation("rotate"), 0.5, 0.4) == ""
    assert step(operation("invert"), 0.5, 0.0) == "invert with probability 0.5"
    assert step(operation("ball"), 0.25, 2.0) == (
        "move within a ball of radius 2 with probability 0.25"
    )


@pytest.mark.parametrize(
    ("name", "magnitude", "said"),
    [("rotate", 14.2, "14°"), ("posterize", 1.25, "1.2 bits fewer"), ("invert", 0.0, "")],
)
def test_a_magnitude_is_told_alone(name, magnitude, said):
    assert extent(operation(name), magnitude) == said


def test_cells_that_read_the_same_are_told_at_once_the_most_frequent_first():
    told = entries(policy_with(_1=0.6), COUNTS)
    assert [each.name for each in told] == ["class 'shirt'", "classes 'bag', 'coat', 'hat'"]
    assert told[1].cells == ((0, 0), (3, 0), (2, 0))
    assert str(told[0]).splitlines()[0] == "class 'shirt':"
    assert "  rotate by up to 9° with probability 0.6" in str(told[0])
    (one,) = entries(policy_with(_1=0.5004), COUNTS)
    assert one.name == "all classes"


def test_many_classes_are_named_in_part():
    counts = Counts(np.arange(30.0, 0, -1)[:, None], tuple(range(30)))
    told = entries(policy_with(30, _0=0.9), counts)
    assert told[1].name == "classes '1', '2', '3', '4', '5' and 24 more"


def test_groups_are_named_where_they_differ_and_empty_cells_are_not_told():
    values = np.array([[9.0, 8.0], [7.0, 0.0], [2.0, 1.0]])
    counts = Counts(values, ("a", "b", "c"), ("land", "sea"))
    assert [each.name for each in entries(policy_with(3, 2), counts)] == [
        "all classes in all groups"
    ]
    whole = entries(policy_with(3, 2, _1=0.9), counts)
    assert [each.name for each in whole] == ["classes 'a', 'c'", "class 'b' in group 'land'"]
    split = entries(policy_with(3, 2, _00=0.9, _20=0.9), counts)
    assert [each.name for each in split] == [
        "classes in groups 'a · land', 'c · land'",
        "classes in groups 'a · sea', 'b · land', 'c · sea'",
    ]
    one_class = entries(policy_with(3, 2, _0=0.9), counts)
    assert one_class[0].name == "class 'a'"


def test_the_rarest_is_held_against_the_most_frequent():
    policy = policy_with(_2=0.9)
    magnitude = policy.magnitude.copy()
    magnitude[2, 0, 0, 0] = 30.0
    assert summary(replace(policy, magnitude=magnitude), COUNTS) == (
        "Images of class 'hat', the rarest, get 1.8 operations on average, at 53% of the largest "
        "strengths, and those of class 'shirt', the most frequent, 1.0 operations on average, at "
        "30% of the largest strengths. Furthest apart are rotate (90% of the time at 100% of its "
        "largest strength, against 50% at 30%) and invert (90% of the time, against 50%)."
    )


def test_a_policy_for_all_has_no_difference_to_tell():
    assert summary(policy_with(), COUNTS) == (
        "All are treated alike, with 1.0 operations an image on average."
    )
    slightly = summary(policy_with(_2000=0.52), COUNTS)
    assert slightly.startswith(
        "Images of class 'hat', the rarest, and of class 'shirt', the most frequent, get 1.0 "
        "operations on average, at 30% of the largest strengths. Furthest apart are rotate"
    )
    assert "get 0.0 operations on average, at 0% of" in summary(policy_with(_2=0.0), COUNTS)


def test_balls_are_told_by_their_radius():
    radii = Policy.ball([[0.1], [0.2], [0.5], [0.1]])
    assert summary(radii, COUNTS) == (
        "Examples of class 'hat', the rarest, move within a ball of radius 0.5. Examples of class "
        "'shirt', the most frequent, move within a ball of radius 0.2."
    )
    same = Policy.ball([[0.1]] * 4)
    assert summary(same, COUNTS) == "All are treated alike: move within a ball of radius 0.1."
    still = Policy.ball([[0.0]] * 4)
    assert lines(still, (0, 0)) == ("leave the example as it is",)
