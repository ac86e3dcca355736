import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import PixelArray
from autobalance.errors import ArtifactError, DataError
from autobalance.runs.image_columns import ImageColumns


def images(groups=None, split=None):
    pixels = PixelArray(np.zeros((3, 3, 4, 4), dtype=np.uint8))
    return ImageSet("birds", pixels, as_objects(["owl", "gull", "owl"]), groups, split)


def test_labels_become_columns_of_the_names_that_were_given():
    columns = ImageColumns("kind", ("place", "year"), "part")
    groups = as_objects([("sea", 1), ("land", 2), ("sea", 2)])
    rows = columns.rows(images(groups, as_objects(["train", "test", "train"])))
    assert (rows.source, rows.noun, len(rows)) == ("birds", "image", 3)
    assert (rows.target.name, rows.target.tolist()) == ("kind", ["owl", "gull", "owl"])
    assert rows.groups.to_dict("list") == {"place": ["sea", "land", "sea"], "year": [1, 2, 2]}
    assert (rows.split.name, rows.split.tolist()) == ("part", ["train", "test", "train"])


def test_folders_have_names_of_their_own_and_no_groups():
    rows = ImageColumns().rows(images(as_objects(["sea", "land", "sea"])))
    assert rows.target.name == "class"
    assert rows.groups is None  # nobody asked for the column
    assert rows.split is None


def test_a_group_of_one_column_is_no_tuple():
    rows = ImageColumns(groups=("place",)).rows(images(as_objects(["sea", "land", "sea"])))
    assert rows.groups.to_dict("list") == {"place": ["sea", "land", "sea"]}


def test_a_column_has_one_role():
    with pytest.raises(DataError, match="'y' is named as the target and as a group"):
        ImageColumns("y", ("y",))


def test_what_is_not_there_is_refused():
    with pytest.raises(DataError, match="does not exist"):
        ImageColumns().read_to_fit(Path("nowhere"))


@pytest.mark.parametrize("marked", [True, False])
def test_further_images_need_no_split_column(tmp_path, marked):
    columns = ImageColumns("kind", split="part")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    header, row = ("file_name,kind,part", "a.png,owl,test")
    if not marked:
        header, row = header.removesuffix(",part"), row.removesuffix(",test")
    (tmp_path / "metadata.csv").write_text(f"{header}\n{row}\n")
    frame = pd.DataFrame({"kind": ["owl"], "part": ["test"]})[["kind"] + ["part"] * marked]
    frame["image"] = [(tmp_path / "a.png").read_bytes()]
    frame.to_parquet(tmp_path / "table.parquet")
    (tmp_path / "both").mkdir()
    (tmp_path / "table.parquet").rename(tmp_path / "both" / "table.parquet")
    for path in (tmp_path, tmp_path / "both", tmp_path / "both" / "table.parquet"):
        rows = columns.read_again(path)
        assert rows.target.tolist() == ["owl"]
        assert (rows.split is not None) == marked
        if not marked:
            with pytest.raises(DataError, match="'part'"):
                columns.read_to_fit(path)


@pytest.mark.parametrize(
    "columns", [ImageColumns(), ImageColumns("y", ("a", "ß"), "s", 32)], ids=["bare", "full"]
)
def test_state_survives_json(columns):
    assert ImageColumns.from_state(json.loads(json.dumps(columns.to_state()))) == columns


@pytest.mark.parametrize("damage", [{"target": 3}, {"groups": None}, {"size": "wide"}])
def test_damaged_state_is_refused(damage):
    with pytest.raises(ArtifactError, match="damaged"):
        ImageColumns.from_state({**ImageColumns("y").to_state(), **damage})


def test_settings_name_only_columns_that_were_named():
    assert "target" not in ImageColumns().settings()
    assert ImageColumns().settings()["image size"] == "as they are"
    assert ImageColumns("y", size=32).settings() == {
        "target": "y",
        "groups": [],
        "split column": None,
        "image size": "32 × 32",
    }
