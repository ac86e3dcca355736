"""Further rows are read as the training rows were: the same columns, the same shape."""

import json

import numpy as np
import pytest
from PIL import Image

from autobalance.data.tables import Table
from autobalance.errors import ArtifactError, DataError
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import learn, reader_from_state


@pytest.fixture
def birds(tmp_path):
    """Images of one colour each, in folders of classes."""
    for kind, level in (("gull", 200), ("owl", 50)):
        (tmp_path / "birds" / kind).mkdir(parents=True)
        for i in range(2):
            picture = Image.new("RGB", (6, 4), (level, level + i, 0))
            picture.save(tmp_path / "birds" / kind / f"{i}.png")
    return tmp_path / "birds"


@pytest.fixture
def of_images(birds):
    columns = ImageColumns(size=4)
    return learn(columns, columns.read_to_fit(birds).content)


@pytest.fixture
def of_a_table(frame):
    columns = Columns("kind", ("place",), "part")
    return learn(columns, Table("small.csv", frame, {}))


@pytest.mark.parametrize("which", ["of_images", "of_a_table"])
def test_state_survives_json(request, which):
    reader, _ = request.getfixturevalue(which)
    assert reader_from_state(json.loads(json.dumps(reader.to_state()))) == reader


@pytest.mark.parametrize("which", ["of_images", "of_a_table"])
def test_the_shape_is_that_of_what_was_learnt_from(request, which):
    reader, inputs = request.getfixturevalue(which)
    assert inputs.shape[1:] == reader.shape


def test_damaged_state_is_refused(of_images):
    state = of_images[0].to_state()
    with pytest.raises(ArtifactError, match="image encoder is damaged"):
        reader_from_state({**state, "image_encoder": {**state["image_encoder"], "channels": 2}})
    with pytest.raises(KeyError, match="image_columns"):
        reader_from_state({"image_encoder": state["image_encoder"]})


def test_images_are_read_again_with_and_without_their_labels(of_images, birds):
    reader, pixels = of_images
    np.testing.assert_array_equal(reader.transform(reader.read(birds)), pixels)
    rows = reader.read_labelled(birds)
    assert rows.target.tolist() == ["gull", "gull", "owl", "owl"]
    np.testing.assert_array_equal(reader.transform(rows.content), pixels)


def test_image_files_are_told_apart_by_their_paths(of_images, birds):
    reader, _ = of_images
    expected = ["gull/0.png", "gull/1.png", "owl/0.png", "owl/1.png"]
    assert reader.names(reader.read(birds), birds) == expected


def test_rows_of_a_table_are_told_apart_by_their_order(of_a_table, table_file):
    reader, _ = of_a_table
    assert reader.names(reader.read(table_file), table_file) is None


def test_images_have_no_array_of_features(of_images, birds):
    reader, _ = of_images
    for read in (lambda: reader.read(birds, "x"), lambda: reader.read_labelled(birds, None, "x")):
        with pytest.raises(DataError, match="'x' names an array of features"):
            read()


def test_a_table_needs_its_split_no_more(of_a_table, frame, tmp_path):
    reader, _ = of_a_table
    frame.drop(columns="part").to_csv(tmp_path / "new.csv", index=False)
    rows = reader.read_labelled(tmp_path / "new.csv")
    assert rows.split is None
    assert list(rows.groups) == ["place"]
