from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.targets import (
    FEW_NUMBERS,
    codes_of_classes,
    codes_of_groups,
    encode_groups,
    encode_target,
    rows_to_keep,
    split_rows,
)
from autobalance.errors import DataError


def column(values, name="y", dtype=None):
    return pd.Series(values, name=name, dtype=dtype)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", "a", "b", "a"], ("a", "b")),
        ([10, 2, 10, 2], (2, 10)),
        ([1.0, 0.0, 1.0, 0.0], (0, 1)),
        ([-1, 1, 1, -1], (-1, 1)),
        ([True, False, True, False], (False, True)),
        (np.array([200, 7, 7, 200], dtype=np.uint8), (7, 200)),
        (pd.Categorical(["z", "a", "a", "z"], categories=["z", "a", "unused"]), ("a", "z")),
        (pd.array([3, 1, 1, 3], dtype="Int64"), (1, 3)),
    ],
)
def test_kinds_of_target(values, labels):
    coded = encode_target(column(values))
    assert coded.labels == labels
    assert [type(label) for label in coded.labels] == [type(label) for label in labels]
    assert [coded.labels[code] for code in coded.codes] == list(values)


@given(
    st.one_of(
        st.lists(st.integers(-5, 5), min_size=2, max_size=30),
        st.lists(st.sampled_from(["", "a", "B", "ä", "10", "9", "None", "missing"]), min_size=2),
    )
)
def test_codes_spell_the_column_and_labels_are_sorted(values):
    doubled = column(values + values)
    if len(set(values)) == 1:
        with pytest.raises(DataError, match="holds the one class"):
            encode_target(doubled)
        return
    codes, labels = encode_target(doubled)
    assert [labels[code] for code in codes] == values + values
    assert list(labels) == sorted(set(values))


def test_missing_target_values():
    with pytest.raises(
        DataError,
        match=r"target column 'income' has no value in 2 rows; .* --drop-class missing",
    ):
        encode_target(column(["a", None, "b", None], "income"))


def test_continuous_targets():
    with pytest.raises(DataError, match=r"target column 'price' holds numbers such as 0\.5 and"):
        encode_target(column([1.0, 0.5, 1.0, 0.5], "price"))
    whole = np.repeat(np.arange(FEW_NUMBERS + 1), 50)
    with pytest.raises(DataError, match=f"'price' holds {FEW_NUMBERS + 1} distinct numbers"):
        encode_target(column(whole.astype(float), "price"))
    assert len(encode_target(column(whole)).labels) == FEW_NUMBERS + 1
    with pytest.raises(DataError, match="'price' holds 101 distinct numbers and seems continuous"):
        encode_target(column(np.repeat(np.arange(101), 2), "price"))
    few = np.repeat(np.arange(FEW_NUMBERS), 2)
    assert len(encode_target(column(few.astype(float))).labels) == FEW_NUMBERS


def test_infinite_and_structured_targets():
    with pytest.raises(DataError, match="column 'y' holds infinite values"):
        encode_target(column([1.0, np.inf, 1.0]))
    with pytest.raises(DataError, match="column 'img' holds dict values in 2 rows"):
        encode_target(column([{"a": 1}, {"a": 2}], "img"))


def test_constant_target():
    with pytest.raises(DataError, match="'y' holds the one class 'no' in all rows"):
        encode_target(column(["no"] * 4))


def test_a_class_with_one_example_and_its_remedy():
    target = column(["a", "a", "rare one", "b", "b"])
    with pytest.raises(
        DataError,
        match=r"class 'rare one' of target column 'y' has a single example .*"
        r"--drop-class 'rare one'$",
    ):
        encode_target(target)
    keep = rows_to_keep(target, ["rare one"])
    assert keep.tolist() == [True, True, False, True, True]
    assert encode_target(target[keep]).labels == ("a", "b")


def test_several_classes_with_one_example():
    with pytest.raises(DataError, match=r"classes '2', '3' of .* each have a single example"):
        encode_target(column([1, 1, 2, 3]))


def test_classes_to_leave_out():
    numbers = column([1.0, 2.0, None, 1.0])
    assert rows_to_keep(numbers, ["2", "missing"]).tolist() == [True, False, False, True]
    assert rows_to_keep(numbers, []).all()
    with pytest.raises(DataError, match="'y' has no class '7' to leave out; it has '1', '2', 'mis"):
        rows_to_keep(numbers, ["7"])


def test_groups_of_one_column_with_gaps():
    codes, labels = encode_groups(pd.DataFrame({"age": [2.0, None, 1.0, 2.0]}))
    assert labels == (1, 2, None)
    assert codes.tolist() == [1, 2, 0, 1]


def test_groups_of_several_columns_are_the_combinations_that_occur():
    columns = pd.DataFrame({"sex": ["m", "f", "m", "m"], "race": ["x", None, "a", "x"]})
    codes, labels = encode_groups(columns)
    assert labels == (("f", None), ("m", "a"), ("m", "x"))
    assert codes.tolist() == [2, 0, 1, 2]


def test_groups_that_are_measurements():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="group column 'pay' holds 300 distinct numbers; cut it"):
        encode_groups(pd.DataFrame({"sex": ["m", "f"] * 150, "pay": rng.normal(size=300)}))
    with pytest.raises(DataError, match="group column 'pay' holds 101 distinct numbers"):
        encode_groups(pd.DataFrame({"pay": np.repeat(np.arange(101) + 0.5, 9)}))
    with pytest.raises(DataError, match="group column 'id' holds 101 distinct numbers"):
        encode_groups(pd.DataFrame({"id": np.repeat(np.arange(101), 2)}))
    assert len(encode_groups(pd.DataFrame({"half": [0.5, 1.0, 0.5]})).labels) == 2


def test_codes_of_further_rows():
    assert codes_of_classes(column(["b", "a"]), ("a", "b", "c")).tolist() == [1, 0]
    # Text in training, but a file where only the numbers occur.
    assert codes_of_classes(column([2, 1]), ("1", "2", "x")).tolist() == [1, 0]
    # A gap elsewhere turned the numbers of one file into floats.
    assert codes_of_classes(column([2.0, 1.0]), (1, 2)).tolist() == [1, 0]
    assert codes_of_classes(column([2, 1]), (1.0, 2.0)).tolist() == [1, 0]
    groups = (("f", None), ("m", 1))
    columns = pd.DataFrame({"sex": ["m", "f"], "race": [1, None]})
    assert codes_of_groups(columns, groups).tolist() == [1, 0]


def test_further_rows_with_something_new():
    with pytest.raises(
        DataError, match=r"'y': class 'c' did not occur in training; .*--drop-class"
    ):
        codes_of_classes(column(["a", "c"]), ("a", "b"))
    with pytest.raises(DataError, match="'y' has no value in 1 row"):
        codes_of_classes(column(["a", None]), ("a", "missing"))
    with pytest.raises(DataError, match="group columns 'sex': group 'missing' did not occur in"):
        codes_of_groups(pd.DataFrame({"sex": ["m", None]}), ("m", "f"))


@pytest.mark.parametrize(
    "values",
    [
        ["train", "Val", "TEST", "train"],
        ["training", "dev", " test ", "train"],
        ["train", "valid", "test", "train"],
        ["train", "validation", "test", "train"],
        [0, 1, 2, 0],
        [0.0, 1.0, 2.0, 0.0],
        ["0", "1", "2", "0"],
        pd.Categorical(["train", "val", "test", "train"]),
    ],
)
def test_spellings_of_a_split(values):
    rows = split_rows(column(values, "split"))
    assert {name: part.tolist() for name, part in rows.items()} == {
        "train": [0, 3],
        "validation": [1],
        "test": [2],
    }


def test_a_split_may_lack_parts_but_not_training():
    rows = split_rows(column(["train", "test"], "split"))
    assert rows["validation"].tolist() == []
    with pytest.raises(DataError, match="split column 'part' marks no row for training"):
        split_rows(column([1, 2], "part"))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["train", "holdout"], "'holdout'"),
        ([0, 3], "'3'"),
        (["train", None], "'missing'"),
        ([True, False], "'False', 'True'"),
        ([0.0, 0.5], "'0.5'"),
        ([Decimal("0.5"), Decimal(0)], "'0.5'"),
    ],
)
def test_other_splits_are_refused_by_value(values, named):
    with pytest.raises(DataError, match=f"split column 'split' holds {named}; use train"):
        split_rows(column(values, "split"))
