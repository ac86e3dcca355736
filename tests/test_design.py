"""LossDesign: what it refuses, and its exact way through JSON and files."""

import json
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.design import VERSION, LossDesign
from autobalance.errors import ArtifactError, DesignError

COUNTS = Counts(np.array([[5.0, 2.0], [1.0, 0.0]]), ("Käse", None), (("f", 1), ("m", None)))
ONES = np.ones((2, 2))
CHAINS = (("rotate", "invert"), ("posterize", "equalize"))
POLICY = Policy.uniform(2, 2, CHAINS)
LARGEST = POLICY.largest


def a_design(**changes):
    arguments = {"weight": ONES, "additive": 0.1 * ONES, "multiplicative": ONES, "ridge": 0.3}
    return LossDesign(COUNTS, **{**arguments, **changes})


finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
plain_label = st.none() | st.booleans() | st.integers() | finite | st.text()
label = st.recursive(plain_label, lambda parts: st.lists(parts, max_size=3).map(tuple))
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=5,
)


@st.composite
def arguments_of_designs(draw):
    classes = tuple(draw(st.lists(label, min_size=1, max_size=4, unique=True)))
    groups = draw(st.none() | st.lists(label, min_size=1, max_size=3, unique=True).map(tuple))
    shape = (len(classes), 1 if groups is None else len(groups))
    values = draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1e300)))
    values[:, 0] += draw(st.floats(1e-300, 1e300))
    weight, multiplicative = draw(
        st.tuples(*[hnp.arrays(np.float64, shape, elements=positive)] * 2)
    )
    additive = draw(hnp.arrays(np.float64, shape, elements=finite))
    ridge = draw(st.none() | st.just(0.0) | positive)
    metadata = draw(st.dictionaries(st.text(), json_value, max_size=3))
    return (values, classes, groups), (weight, additive, multiplicative, ridge, metadata)


@st.composite
def arguments_with_policies(draw):
    of_counts, of_design = draw(arguments_of_designs())
    shape = (*of_counts[0].shape, 2, 2)
    share = hnp.arrays(np.float64, shape, elements=st.floats(0, 1))
    return of_counts, of_design, (CHAINS, draw(share), draw(share) * LARGEST)


@given(arguments_with_policies())
def test_json_round_trip_with_a_policy_is_exact(arguments):
    of_counts, of_design, of_policy = arguments
    design = LossDesign(Counts(*of_counts), *of_design, Policy(*of_policy))
    again = LossDesign.from_json(design.to_json())
    assert again == design
    for name in ("probability", "magnitude"):
        assert getattr(again.policy, name).tobytes() == getattr(design.policy, name).tobytes()
    assert again.to_json() == design.to_json()


def test_only_a_policy_needs_the_newer_version():
    plain, augmenting = (json.loads(a_design(policy=each).to_json()) for each in (None, POLICY))
    assert (plain["version"], augmenting["version"]) == (1, 2)
    assert "policy" not in plain
    assert list(augmenting["policy"]) == ["sub_policies", "probability", "magnitude"]
    assert LossDesign.from_json(json.dumps(plain)).policy is None
    assert LossDesign.from_json(json.dumps(plain | {"version": 2})).policy is None


@given(arguments_of_designs())
def test_json_round_trip_is_exact(arguments):
    of_counts, of_design = arguments
    design = LossDesign(Counts(*of_counts), *of_design)
    again = LossDesign.from_json(design.to_json())
    assert again == design
    assert repr((again.counts.classes, again.counts.groups)) == repr(of_counts[1:])
    for name, values in zip(("weight", "additive", "multiplicative"), of_design[:3], strict=True):
        assert getattr(again, name).tobytes() == values.tobytes()
    assert repr(again.metadata) == repr(of_design[4])
    assert again.to_json() == design.to_json()


def test_file_round_trip(tmp_path):
    design = a_design(metadata={"seed": 0, "note": "naïve"})
    design.save(tmp_path / "design.json")
    assert LossDesign.load(tmp_path / "design.json") == design
    assert "Käse" in (tmp_path / "design.json").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["design.json"]


def test_a_byte_order_mark_is_forgiven(tmp_path):
    (tmp_path / "design.json").write_text(a_design().to_json(), encoding="utf-8-sig")
    assert LossDesign.load(tmp_path / "design.json") == a_design()


def test_values_and_metadata_are_frozen_copies():
    weight, metadata = ONES.copy(), {"folds": [1, 2], "shape": (2, 2), "score": np.float64(0.5)}
    design = a_design(weight=weight, metadata=metadata)
    weight[0, 0] = 7.0
    metadata["folds"].append(3)
    assert design.weight[0, 0] == 1.0
    assert design.metadata == {"folds": [1, 2], "shape": [2, 2], "score": 0.5}
    with pytest.raises(ValueError, match="read-only"):
        design.weight[0, 0] = 2.0


def test_with_metadata_adds_and_replaces():
    design = a_design(metadata={"seed": 0, "folds": 5})
    changed = design.with_metadata(seed=1, objective="balanced")
    assert changed.metadata == {"seed": 1, "folds": 5, "objective": "balanced"}
    assert design.metadata == {"seed": 0, "folds": 5}
    np.testing.assert_array_equal(changed.additive, design.additive)


def test_equality():
    assert a_design() == a_design()
    for change in (
        {"weight": 2 * ONES},
        {"additive": ONES},
        {"multiplicative": 2 * ONES},
        {"ridge": None},
        {"metadata": {"seed": 0}},
        {"policy": POLICY},
    ):
        assert a_design(**change) != a_design()
    assert a_design(policy=POLICY) == a_design(policy=Policy.uniform(2, 2, CHAINS))
    assert a_design(policy=POLICY) != a_design(policy=Policy.uniform(2, 2, CHAINS, strength=0.1))
    assert a_design() != "design"
    with pytest.raises(TypeError, match="unhashable"):
        hash(a_design())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.ones((2, 1))}, r"weight has shape \(2, 1\) but the design has 2 classes"),
        ({"additive": np.ones(2)}, r"additive has shape \(2,\)"),
        (
            {"additive": np.array([[0.0, 0.0], [0.0, np.inf]])},
            "additive is not finite for class 'missing' in group 'm, missing'; give finite",
        ),
        ({"weight": np.array([[1.0, 0.0], [1.0, 1.0]])}, "weight is not positive for class 'Käse'"),
        ({"multiplicative": -ONES}, "multiplicative is not positive"),
        ({"ridge": -1.0}, "ridge is -1.0 but must be finite and not negative"),
        ({"ridge": math.nan}, "ridge is nan"),
        ({"metadata": {"loss": math.nan}}, "metadata holds something that JSON cannot"),
        ({"metadata": {"model": object()}}, "object is not JSON serializable"),
        (
            {"policy": Policy.uniform(2, 1, CHAINS)},
            "the policy is for 2 classes and 1 groups but the design has 2 and 2; give it a row",
        ),
    ],
)
def test_refused_values(plain_calls, changes, message):
    with pytest.raises(DesignError, match=message):
        a_design(**changes)


def damaged(**changes):
    return json.dumps({**json.loads(a_design().to_json()), **changes})


def with_damaged_policy(**changes):
    return damaged(version=2, policy={**POLICY.to_plain(), **changes})


def with_policy_lacking(name):
    entry = POLICY.to_plain()
    del entry[name]
    return damaged(version=2, policy=entry)


def without(name):
    document = json.loads(a_design().to_json())
    del document[name]
    return json.dumps(document)


DAMAGED_TEXTS = {
    "empty": ("", "d.json is not valid JSON"),
    "truncated": (a_design().to_json()[:-40], "d.json is not valid JSON"),
    "not an object": ("[]", "d.json is not an autobalance-design file; check the path"),
    "another document": (damaged(format="autobalance-metrics"), "is not an autobalance-design"),
    "newer": (
        damaged(version=VERSION + 1),
        f"d.json has version {VERSION + 1} but this AutoBalance reads up to {VERSION}; upgrade it",
    ),
    "version zero": (damaged(version=0), "no valid version number"),
    "version true": (damaged(version=True), "no valid version number"),
    "version text": (damaged(version="1"), "no valid version number"),
    "not a number": (damaged(ridge=math.nan), "NaN is not a JSON number"),
    "thousands of digits": ('{"format": ' + "1" * 5000 + "}", "is not valid JSON"),
    "deeply nested": ("[" * 100_000, "is not valid JSON"),
    "no weights": (without("weight"), r"d.json is damaged \(it has no 'weight'\); restore it"),
    "no groups": (without("groups"), "it has no 'groups'"),
    "no metadata": (without("metadata"), "it has no 'metadata'"),
    "weights of another shape": (damaged(weight=[[1.0, 1.0]]), r"weight has shape \(1, 2\)"),
    "flat weights": (damaged(weight=[1.0, 1.0]), r"weight has shape \(2,\)"),
    "ragged weights": (damaged(weight=[[1.0, 1.0], [1.0]]), "weight is not a table of numbers"),
    "empty weights": (damaged(weight=[]), r"weight has shape \(0,\)"),
    "weights of text": (
        damaged(weight=[["1", "1"], ["1", "1"]]),
        "weight is not a table of numbers",
    ),
    "weights of null": (damaged(weight=[[None, 1], [1, 1]]), "weight is not a table of numbers"),
    "weights of truth": (damaged(weight=[[True, 1], [1, 1]]), "weight is not a table of numbers"),
    "weights beyond floats": (damaged(weight=[[10**400, 1], [1, 1]]), "too large"),
    "infinite weights": (
        damaged(weight=[[1, 1], [1, 1]]).replace('"weight": [[1,', '"weight": [[1e999,'),
        "weight is not finite",
    ),
    "weight zero": (damaged(weight=[[0, 1], [1, 1]]), "weight is not positive"),
    "classes as text": (damaged(classes="ab"), "classes is not a list"),
    "groups as object": (damaged(groups={"a": 1}), "groups is not a list"),
    "class an object": (damaged(classes=[{}, "b"]), "is not a label"),
    "classes alike": (damaged(classes=["b", "b"]), "appears twice"),
    "class without example": (damaged(counts=[[0, 0], [1, 1]]), "has no example"),
    "ridge of text": (damaged(ridge="0.1"), "'0.1' is not a number"),
    "negative ridge": (damaged(ridge=-1), "ridge is -1.0"),
    "no policy": (damaged(policy=None), r"d\.json is damaged \(the policy is damaged"),
    "a policy of text": (damaged(policy="rotate"), "the policy is damaged"),
    "no magnitudes": (with_policy_lacking("magnitude"), "the policy is damaged .'magnitude'"),
    "no sub-policies": (with_policy_lacking("sub_policies"), "damaged .'sub_policies'"),
    "probabilities of text": (
        with_damaged_policy(probability=[[[["0.5"] * 2] * 2] * 2] * 2),
        "probability is not a table of numbers",
    ),
    "a word for magnitudes": (with_damaged_policy(magnitude="all"), "magnitude is not a table"),
    "magnitudes beyond floats": (
        with_damaged_policy(magnitude=[[[[10**400, 0]] * 2] * 2] * 2),
        "too large",
    ),
    "a probability above 1": (
        with_damaged_policy(probability=[[[[2.0] * 2] * 2] * 2] * 2),
        "the probability of rotate is 2 for class 0 in group 0; use 0 to 1",
    ),
    "an operation from elsewhere": (
        with_damaged_policy(sub_policies=[["rotate", "blur"], ["posterize", "equalize"]]),
        "there is no operation 'blur'",
    ),
    "a policy of other cells": (
        damaged(version=2, policy=Policy.uniform(3, 2, CHAINS).to_plain()),
        "the policy is for 3 classes and 2 groups but the design has 2 and 2",
    ),
    "metadata as list": (damaged(metadata=[["a", 1]]), "metadata is not an object"),
}


@pytest.mark.parametrize("case", DAMAGED_TEXTS)
def test_damaged_text_is_one_clear_sentence(plain_calls, case):
    text, message = DAMAGED_TEXTS[case]
    with pytest.raises(DesignError, match=message) as caught:
        LossDesign.from_json(text, "d.json")
    assert "\n" not in str(caught.value)


@given(cut=st.integers(0, 10**6), junk=st.text(max_size=3))
def test_damage_anywhere_is_noticed_or_harmless(cut, junk):
    text = a_design(policy=POLICY).to_json()
    cut %= len(text)
    with suppress(DesignError):
        LossDesign.from_json(text[:cut] + junk + text[cut + len(junk) :])


def test_unreadable_files(tmp_path):
    with pytest.raises(DesignError, match=r"cannot read .*none.json \(No such file"):
        LossDesign.load(tmp_path / "none.json")
    with pytest.raises(DesignError, match="Is a directory"):
        LossDesign.load(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DesignError, match="is not a text file"):
        LossDesign.load(tmp_path / "binary.json")


def test_failing_to_save_leaves_nothing(tmp_path):
    with pytest.raises(ArtifactError, match="No such file or directory"):
        a_design().save(tmp_path / "none" / "design.json")
    lone_surrogate = Counts(np.ones((1, 1)), ("\ud800",))
    design = LossDesign(lone_surrogate, *np.ones((3, 1, 1)))
    with pytest.raises(ArtifactError, match="surrogates not allowed"):
        design.save(tmp_path / "design.json")
    assert not list(tmp_path.iterdir())
