"""Objectives as they are written: the grammar, and what data they need."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.objectives import OBJECTIVES, Objective

COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), ("a", "b", "c"), ("f", "m"))
HOLED = Counts(np.array([[40.0, 10.0], [5.0, 0.0], [8.0, 12.0]]), ("a", "b", "c"), ("f", "m"))
RISKS = np.array([[0.2, 0.9], [1.4, 0.3], [0.5, 0.8]])

scales = st.floats(min_value=1e-6, max_value=1e6)


@given(st.lists(st.tuples(st.sampled_from(OBJECTIVES), scales), min_size=1, max_size=5))
def test_text_round_trips(terms):
    text = " + ".join(f"{scale!r} * {name}" for name, scale in terms)
    objective = Objective.parse(text)
    assert Objective.parse(str(objective)) == objective
    for name in OBJECTIVES:
        expected = sum(scale for term, scale in terms if term == name)
        assert dict(objective.terms).get(name, 0.0) == pytest.approx(expected, rel=1e-12)


@given(st.text(max_size=30) | st.text(alphabet="0123456789.e+-* aworst-groupinfnan", max_size=30))
def test_any_text_is_read_or_refused(text):
    with suppress(ObjectiveError):
        objective = Objective.parse(text)
        assert Objective.parse(str(objective)) == objective
        assert all(0 < scale < np.inf for _, scale in objective.terms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "accuracy",
        "balanced+",
        "+balanced",
        "balanced balanced",
        "balanced-error",
        "0*error",
        "-1*error",
        "1e999*error",
        "1e308*error+1e308*error",
        "nan*error",
        "error*0.5",
        "0.5 error",
        "0.1*error,balanced",
    ],
)
def test_what_is_no_sum_of_objectives_is_refused(text):
    with pytest.raises(ObjectiveError, match="objective"):
        Objective.parse(text)


def test_canonical_text_is_plain():
    assert str(Objective.parse(" worst-group ")) == "worst-group"
    assert str(Objective.parse("1.0*error")) == "error"
    assert str(Objective.parse(".1*error+9e-1*equalized-odds")) == "0.1*error+0.9*equalized-odds"


@pytest.mark.parametrize("name", ["group-balanced", "worst-group", "equalized-odds"])
def test_an_empty_cell_is_named(name):
    with pytest.raises(ObjectiveError, match=r"class 'b' in group 'm'.*empty_cells='drop'"):
        Objective.parse(name).bind(HOLED)


@pytest.mark.parametrize("name", ["error", "balanced", "worst-class"])
def test_an_empty_cell_is_no_matter_to_objectives_of_classes(name):
    assert Objective.parse(name).bind(HOLED).error(RISKS, HOLED.frequencies) > 0


def test_only_the_positive_class_needs_all_its_groups_for_equal_opportunity():
    Objective.parse("equal-opportunity", "c").bind(HOLED)
    with pytest.raises(ObjectiveError, match="class 'b' in group 'm'"):
        Objective.parse("equal-opportunity", "b").bind(HOLED)


def test_the_positive_class_of_two_is_the_last():
    two = Counts(COUNTS.values[:2], ("a", "b"), ("f", "m"))
    bound = Objective.parse("equal-opportunity").bind(two)
    assert bound.error(RISKS[:2], two.frequencies) == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("text", "positive", "said"),
    [
        ("equal-opportunity", None, "needs a positive class among the 3 classes"),
        ("equal-opportunity", "z", "'z' is not among the classes a, b, c"),
    ],
)
def test_a_positive_class_must_be_known(text, positive, said):
    with pytest.raises(ObjectiveError, match=said):
        Objective.parse(text, positive).bind(COUNTS)


@pytest.mark.parametrize("groups", [None, ("only",)])
@pytest.mark.parametrize("name", ["equal-opportunity", "equalized-odds"])
def test_comparing_groups_needs_two(name, groups):
    counts = Counts(np.array([[3.0], [4.0]]), ("a", "b"), groups)
    with pytest.raises(ObjectiveError, match="name a group column"):
        Objective.parse(name).bind(counts)


def test_the_option_for_empty_cells_is_checked():
    with pytest.raises(ObjectiveError, match="use 'error' or 'drop'"):
        Objective.parse("error").bind(COUNTS, "ignore")


def test_by_group_are_those_that_need_groups():
    names = {name for name in OBJECTIVES if Objective.parse(name).by_group}
    assert names == {"group-balanced", "worst-group", "equal-opportunity", "equalized-odds"}
    assert Objective.parse("0.9*error+0.1*worst-group").by_group
