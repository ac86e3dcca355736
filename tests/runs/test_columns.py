import json

import pytest

from autobalance.errors import ArtifactError, DataError
from autobalance.runs.columns import Columns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"groups": ("y",)}, "'y' is named as the target and as a group"),
        ({"drop": ("y",)}, "'y' is named as the target and as left out"),
        ({"split": "y"}, "'y' is named as the target and as the split"),
        ({"groups": ("a", "a")}, "'a' is named twice"),
        ({"groups": ("a",), "drop": ("a",)}, "'a' is named as a group and as left out"),
        ({"group_as_feature": True}, "--group-as-feature needs a group column"),
    ],
)
def test_a_column_has_one_role(arguments, words):
    with pytest.raises(DataError, match=words):
        Columns("y", **arguments)


def test_state_survives_json():
    columns = Columns("y", ("a", "ß [1]"), "s", ("d",), True, "x")
    assert Columns.from_state(json.loads(json.dumps(columns.to_state()))) == columns


@pytest.mark.parametrize("damage", [{"target": 3}, {"groups": None}, {"groups": [1]}])
def test_damaged_state_is_refused(damage):
    with pytest.raises(ArtifactError, match="damaged"):
        Columns.from_state({**Columns("y").to_state(), **damage})


def test_state_without_a_key_is_refused():
    with pytest.raises(ArtifactError, match="'target'"):
        Columns.from_state({})
