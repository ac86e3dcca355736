import pytest

from autobalance.data.images.lists import holds_imagenet_lt, read_imagenet_lt, require_image
from autobalance.errors import DataError

LINES = {
    "train": ["train/n01/n01_1.JPEG 0", "train/n02/n02_1.JPEG 1", ""],
    "val": ["val/n01/ILSVRC_9.JPEG 0"],
    "test": ["val/n02/with a space.JPEG 1"],
}


@pytest.fixture
def imagenet(tmp_path, plant):
    for part, lines in LINES.items():
        (tmp_path / f"ImageNet_LT_{part}.txt").write_text("\n".join(lines))
        for place, line in enumerate(lines):
            if line:
                plant(tmp_path / line.rpartition(" ")[0], (place, 0, 0), form="JPEG")
    return tmp_path


def test_the_three_lists(imagenet):
    assert holds_imagenet_lt(imagenet)
    images = read_imagenet_lt(imagenet)
    assert images.targets.tolist() == [0, 1, 0, 1]
    assert images.split.tolist() == ["train", "train", "validation", "test"]
    assert images.groups is None
    assert images.images[3].shape == (3, 4, 4)


def test_a_missing_list(imagenet):
    assert not holds_imagenet_lt(imagenet / "none")
    (imagenet / "ImageNet_LT_val.txt").unlink()
    assert holds_imagenet_lt(imagenet)
    with pytest.raises(DataError, match=r"has no ImageNet_LT_val\.txt; put it there beside"):
        read_imagenet_lt(imagenet)


@pytest.mark.parametrize("line", ["train/a.JPEG", "train/a.JPEG cat", "0", "a.JPEG -1", "a 1.5"])
def test_a_line_that_is_none(imagenet, line):
    with (imagenet / "ImageNet_LT_train.txt").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(
        DataError, match=r"line 4 of .*_train\.txt is '.*', not the path of an imag"
    ):
        read_imagenet_lt(imagenet)


def test_damaged_lists(imagenet):
    path = imagenet / "ImageNet_LT_train.txt"
    path.write_text("\n\n")
    with pytest.raises(DataError, match=r"_train\.txt lists no image; download it again"):
        read_imagenet_lt(imagenet)
    path.write_bytes(b"\xff\xfe 0")
    with pytest.raises(DataError, match=r"cannot read .*_train\.txt \(its text is not UTF-8\)"):
        read_imagenet_lt(imagenet)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"cannot read .*_train\.txt \(Is a directory\)"):
        read_imagenet_lt(imagenet)


def test_images_that_are_not_there(imagenet):
    (imagenet / "train/n01/n01_1.JPEG").unlink()
    with pytest.raises(
        DataError, match=r"n01_1\.JPEG, the first image in ImageNet_LT_train\.txt, does not exist"
    ):
        read_imagenet_lt(imagenet)


def test_require_image(tmp_path, plant):
    require_image(str(plant(tmp_path / "a.png")), tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"b\.png, the first image in list\.txt, does not exist"):
        require_image(str(tmp_path / "b.png"), tmp_path / "list.txt")
