import numpy as np
import pandas as pd
import pytest

from autobalance.data.images.columns import TARGETS, read_columns, read_csv
from autobalance.data.tables import Table
from autobalance.errors import DataError


def table(**columns):
    return Table("birds.csv", pd.DataFrame(columns), {})


@pytest.mark.parametrize("name", TARGETS)
def test_the_target_is_found_by_its_name(name):
    labels = read_columns(table(other=[1, 2], **{name: ["a", "b"]}), None, [], None)
    assert labels.targets.tolist() == ["a", "b"]
    assert labels.groups is labels.split is None


def test_the_first_of_several_names_is_the_target():
    labels = read_columns(table(y=[1, 2], label=[3, 4]), None, [], None)
    assert labels.targets.tolist() == [3, 4]
    assert type(labels.targets[0]) is int


def test_named_columns_come_before_those_found():
    columns = {
        "label": ["a", "b"],
        "species": ["c", "d"],
        "group": [0, 1],
        "place": [2, 3],
        "split": ["train", "test"],
        "fold": [1, 0],
    }
    found = read_columns(table(**columns), None, [], None)
    assert found.targets.tolist() == ["a", "b"]
    assert found.groups.tolist() == [0, 1]
    assert found.split.tolist() == ["train", "test"]
    named = read_columns(table(**columns), "species", ["place"], "fold")
    assert named.targets.tolist() == ["c", "d"]
    assert named.groups.tolist() == [2, 3]
    assert named.split.tolist() == ["validation", "train"]


def test_several_group_columns_are_combined():
    labels = read_columns(table(y=[0, 1], sex=["f", "m"], age=[30, 40]), None, ["sex", "age"], None)
    assert labels.groups.tolist() == [("f", 30), ("m", 40)]
    assert labels.groups.shape == (2,)


def test_a_missing_group_is_a_label():
    labels = read_columns(table(y=[0, 1], group=["f", None]), None, [], None)
    assert labels.groups.tolist() == ["f", None]


def test_labels_are_whole_numbers_whether_or_not_there_is_a_gap():
    labels = read_columns(table(y=np.array([0.0, 1.0]), group=[1.0, np.nan]), None, [], None)
    assert [type(value) for value in labels.targets] == [int, int]
    assert labels.groups.tolist() == [1, None]


def test_no_target():
    with pytest.raises(
        DataError, match=r"birds\.csv has no column named label or .*name the target .*has 'colour'"
    ):
        read_columns(table(colour=["a"]), None, [], None)
    with pytest.raises(DataError, match="no column 'colou'; did you mean 'colour'"):
        read_columns(table(colour=["a"]), "colou", [], None)


def test_an_example_without_a_class():
    with pytest.raises(DataError, match=r"'y' of birds\.csv has no value in 2 rows; fill them in"):
        read_columns(table(y=["a", None, None]), None, [], None)


def test_an_unknown_part():
    with pytest.raises(DataError, match="split column 'split' holds 'later'; use train"):
        read_columns(table(y=[0, 1], split=["train", "later"]), None, [], None)


def test_parts_need_none_for_training():
    labels = read_columns(table(y=[0, 1], split=["test", "test"]), None, [], None)
    assert labels.split.tolist() == ["test", "test"]


def test_csv(tmp_path):
    (tmp_path / "a.csv").write_text("file_name,label\na.png,cat\n")
    assert read_csv(tmp_path / "a.csv").names == ["file_name", "label"]
    with pytest.raises(DataError, match="does not exist"):
        read_csv(tmp_path / "b.csv")
