import numpy as np
import pytest

from autobalance.data.tables import Table
from autobalance.errors import DataError
from autobalance.runs.columns import Columns
from autobalance.runs.examples import prepare

COLUMNS = Columns("kind", groups=("place",), split="part")


def table(frame):
    return Table("small.csv", frame, {})


def test_the_parts_are_those_of_the_split_column(frame):
    data = prepare(COLUMNS.rows(table(frame)), COLUMNS)
    train, test = frame[frame.part == "train"], frame[frame.part == "test"]
    assert data.rows == {"train": len(train), "validation": 0, "test": len(test)}
    np.testing.assert_array_equal(np.array(data.counts.classes)[data.train.y], train.kind)
    np.testing.assert_array_equal(np.array(data.counts.groups)[data.train.g], train.place)
    np.testing.assert_array_equal(np.array(data.counts.classes)[data.test.y], test.kind)
    expected = train.groupby(["kind", "place"]).size().unstack().to_numpy()
    np.testing.assert_array_equal(data.counts.values, expected)


def test_groups_target_and_split_are_no_features(frame):
    data = prepare(COLUMNS.rows(table(frame)), COLUMNS)
    assert data.reader.encoder.inputs == ["size", "weight", "colour"]
    assert data.train.features.shape == (data.rows["train"], 5)


def test_groups_become_features_on_request(frame):
    columns = Columns("kind", groups=("place",), split="part", group_as_feature=True)
    assert "place=sea" in prepare(columns.rows(table(frame)), columns).reader.encoder.feature_names


def test_features_are_learnt_from_training_rows_alone(frame):
    changed = frame.copy()
    changed.loc[changed.part == "test", "weight"] = 1e6
    medians = [
        prepare(COLUMNS.rows(table(each)), COLUMNS).reader.encoder.numeric.medians
        for each in (frame, changed)
    ]
    assert medians[0] == medians[1]


def test_validation_rows_are_used_only_when_asked(frame):
    frame = frame.copy()
    frame.loc[:39, "part"] = "validation"
    alone = prepare(COLUMNS.rows(table(frame)), COLUMNS)
    both = prepare(COLUMNS.rows(table(frame)), COLUMNS, train_on=("train", "validation"))
    assert alone.rows["validation"] == 40
    assert len(both.train) == len(alone.train) + 40
    assert both.rows["validation"] == 0
    assert any("--train-on train+validation" in note for note in alone.notes)
    assert not any("--train-on" in note for note in both.notes)


def test_without_a_split_column_all_rows_train(frame):
    columns = Columns("kind", drop=("part",))
    data = prepare(columns.rows(table(frame)), columns)
    assert (len(data.train), data.test, data.counts.groups) == (len(frame), None, None)
    assert not data.train.g.any()


def test_a_class_that_only_the_test_rows_have_is_refused_before_the_search(frame):
    frame = frame.copy()
    frame.loc[0, "kind"] = "new"
    with pytest.raises(DataError, match="class 'new' did not occur in training"):
        prepare(COLUMNS.rows(table(frame)), COLUMNS)
    prepare(COLUMNS.rows(table(frame)), COLUMNS, drop_classes=["new"])


def test_leaving_out_every_class_is_refused(frame):
    with pytest.raises(DataError, match="is left after leaving out every class"):
        prepare(COLUMNS.rows(table(frame)), COLUMNS, drop_classes=["rare", "common"])
