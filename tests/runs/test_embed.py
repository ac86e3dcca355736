"""Embeddings: which arrays are written, and that the exact search reads them as they are."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autobalance.errors import ArtifactError, DataError
from autobalance.runs.columns import Columns
from autobalance.runs.embed import EmbedRequest, embed_images, write_embeddings
from autobalance.runs.fit import fit_rows
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch

BACKBONE = "autobalance_test_backbone:means"
CODE = """
from torch import nn
def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


class Listener(Watch):
    def __init__(self):
        self.said, self.shares = [], []

    def say(self, sentence):
        self.said.append(sentence)

    def stage(self, name, share=None):
        self.shares.append(share)


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Images whose colour tells the class, with metadata; and a backbone of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "autobalance_test_backbone", raising=False)
    (tmp_path / "autobalance_test_backbone.py").write_text(CODE)
    folder = tmp_path / "birds"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rare = rng.random(80) < 0.3
    frame = pd.DataFrame(
        {
            "file_name": [f"{i}.png" for i in range(80)],
            "bird": np.where(rare, "gull", "owl"),
            "place": rng.choice(["land", "sea"], 80),
            "year": rng.choice([2001, 2002], 80),
            "part": rng.choice(["train", "val", "test"], 80, p=[0.6, 0.2, 0.2]),
        }
    )
    for name, is_rare in zip(frame.file_name, rare, strict=True):
        colour = np.clip(rng.normal(90 + 50 * is_rare, 30, 3), 0, 255).astype(int)
        Image.new("RGB", (9, 8), tuple(colour.tolist())).save(folder / name)
    frame.to_csv(folder / "metadata.csv", index=False)
    return folder


def request(*columns, **options):
    return EmbedRequest(ImageColumns(*columns), BACKBONE, size=8, **options)


def test_labels_stand_beside_the_features(images):
    columns = ("bird", ("place", "year"), "part")
    arrays = embed_images(images, request(*columns, batch_size=16), Watch())
    frame = pd.read_csv(images / "metadata.csv")
    assert list(arrays) == ["features", "target", "place", "year", "split"]
    assert arrays["features"].shape == (80, 3)
    assert arrays["features"].dtype == np.float32
    np.testing.assert_array_equal(arrays["target"], frame.bird)
    np.testing.assert_array_equal(arrays["place"], frame.place)
    np.testing.assert_array_equal(arrays["year"], frame.year)
    assert arrays["year"].dtype.kind == "i"
    np.testing.assert_array_equal(arrays["split"], frame.part.replace("val", "validation"))


def test_the_exact_search_reads_the_file_as_it_is(images, tmp_path):
    watch, out = Listener(), tmp_path / "embeddings.npz"
    names = write_embeddings(images, request("bird", ("place",), "part"), out, watch)
    assert names == ["features", "target", "place", "split"]
    assert watch.said == [
        "80 images of 3 features each; the arrays are 'features', 'target', 'place', 'split'"
    ]
    assert watch.shares[-1] is not None
    columns = Columns("target", ("place",), "split", features="features")
    run = fit_rows(
        columns.read_to_fit(out),
        FitRequest(
            columns, train_on=("train", "validation"), cv=2, parameters="additive", verdict=None
        ),
        Watch(),
    )
    assert run.saved.model.classes == ("gull", "owl")


@pytest.mark.parametrize("name", ["file", "allow_pickle", "habitat of the bird/plant"])
def test_a_group_column_may_have_any_other_name(images, tmp_path, name):
    metadata = images / "metadata.csv"
    pd.read_csv(metadata).rename(columns={"place": name}).to_csv(metadata, index=False)
    out = tmp_path / "embeddings.npz"
    names = write_embeddings(images, request("bird", (name,)), out, Watch())
    assert names == ["features", "target", name]
    with np.load(out, allow_pickle=False) as arrays:
        assert list(arrays) == names
        assert np.unique(arrays[name]).tolist() == ["land", "sea"]
    assert len(Columns("target", (name,), features="features").read_to_fit(out)) == 80


def test_images_that_nothing_is_said_of_get_no_target(images, tmp_path):
    (images / "metadata.csv").unlink()
    watch = Listener()
    arrays = embed_images(images, request(), watch)
    assert list(arrays) == ["features"]
    assert len(arrays["features"]) == 80
    assert watch.said[0].startswith("The images get no target, which predictions do not need: ")


def test_images_that_a_column_is_asked_of_must_have_it(images):
    with pytest.raises(DataError, match="no column 'fish'"):
        embed_images(images, request("fish"), Watch())


def test_what_holds_no_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        embed_images(tmp_path / "nothing", request(), Watch())


@pytest.mark.parametrize("name", ["features", "target", "split"])
def test_a_group_column_with_the_name_of_an_array_is_refused(name):
    with pytest.raises(DataError, match=f"group column '{name}' has the name of another array"):
        request("bird", (name,))


@pytest.mark.parametrize("device", ["cuda:99", "toaster", "meta", "meta:x"])
def test_a_device_that_cannot_be_used_is_refused(images, device):
    with pytest.raises(DataError, match=f"device '{device}' cannot be used .*; use cpu") as error:
        embed_images(images, request("bird", device=device), Watch())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("out", "error", "said"),
    [
        ("features.csv", DataError, "features.csv; name a file .npz"),
        ("missing/features.npz", ArtifactError, "folder that does not exist"),
        ("folder.npz", ArtifactError, "is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path, out, error, said):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(error, match=said):
        write_embeddings(tmp_path / "no images", request(), tmp_path / out, Watch())


def test_nothing_is_left_where_an_image_is_damaged(images, tmp_path):
    (images / "3.png").write_bytes(b"torn")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"3.png is not a readable image"):
        write_embeddings(images, request("bird"), tmp_path / "out.npz", Watch())
    assert sorted(tmp_path.iterdir()) == before
