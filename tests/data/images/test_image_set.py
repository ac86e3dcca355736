import numpy as np
import pytest

from autobalance.data.images.image_set import ImageSet, as_objects, join_sets
from autobalance.data.images.sources import PixelArray
from autobalance.errors import DataError


def make(groups=True, split=True):
    return ImageSet(
        "birds",
        PixelArray(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)),
        as_objects(["a", "b", "a", "c"]),
        as_objects([("x", 1), ("x", 2), ("y", 1), ("y", 2)]) if groups else None,
        as_objects(["train", "test", "train", "test"]) if split else None,
    )


def test_labels_go_with_the_images():
    images = make()
    assert len(images) == 4
    chosen = images.rows(np.array([3, 0]))
    assert chosen.images.values.ravel().tolist() == [3, 0]
    assert chosen.targets.tolist() == ["c", "a"]
    assert chosen.groups.tolist() == [("y", 2), ("x", 1)]
    assert chosen.split.tolist() == ["test", "train"]
    masked = images.rows(images.targets == "a")
    assert masked.images.values.ravel().tolist() == [0, 2]
    bare = make(groups=False, split=False).rows(np.array([1]))
    assert (bare.groups, bare.split) == (None, None)


def test_parts():
    assert make().part("test").targets.tolist() == ["b", "c"]
    with pytest.raises(DataError, match="birds has no part 'validation'; it has 'train', 'test'"):
        make().part("validation")
    with pytest.raises(DataError, match="birds is not divided into parts"):
        make(split=False).part("train")


def test_one_label_an_image(plain_calls):
    for name in ("targets", "groups", "split"):
        labels = {"targets": as_objects(["a"]), name: as_objects(["a", "b"])}
        images = PixelArray(np.zeros((1, 1, 1, 1), dtype=np.uint8))
        with pytest.raises(DataError, match=f"birds has 1 image but 2 {name}; give one for each"):
            ImageSet("birds", images, **labels)


def test_joined_sets():
    both = join_sets("all", [make(), make()])
    assert (both.source, len(both)) == ("all", 8)
    assert both.targets.tolist() == ["a", "b", "a", "c"] * 2
    assert both.groups[5] == ("x", 2)
    assert both.part("train").images[2].item() == 0
    bare = join_sets("all", [make(groups=False, split=False)] * 2)
    assert (bare.groups, bare.split) == (None, None)
    with pytest.raises(DataError, match="only some files of all name groups; name them in all"):
        join_sets("all", [make(), make(groups=False)])
    with pytest.raises(DataError, match="only some files of all name parts"):
        join_sets("all", [make(split=False), make()])
