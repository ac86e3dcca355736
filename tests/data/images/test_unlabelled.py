import pytest

from autobalance.data.images.unlabelled import read_unlabelled
from autobalance.errors import DataError


def test_files_at_any_depth(tmp_path, plant, first_pixel):
    plant(tmp_path / "b.png", (2, 0, 0))
    plant(tmp_path / "a.png", (1, 0, 0))
    plant(tmp_path / "c" / "d" / "e.png", (3, 0, 0))
    images = read_unlabelled(tmp_path)
    assert first_pixel(images.images) == [[1, 0, 0], [2, 0, 0], [3, 0, 0]]
    assert images.targets.tolist() == [None] * 3
    assert images.split is None


def test_parquet_without_a_target(tmp_path, png, parquet, first_pixel):
    one = parquet(tmp_path / "a.parquet", [png((1, 0, 0))], number=[5])
    parquet(tmp_path / "b.parquet", [png((2, 0, 0))], number=[6])
    assert first_pixel(read_unlabelled(one).images) == [[1, 0, 0]]
    assert first_pixel(read_unlabelled(tmp_path).images) == [[1, 0, 0], [2, 0, 0]]


def test_idx(tmp_path):
    for prefix in ("train", "t10k"):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9])
        )
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    images = read_unlabelled(tmp_path)
    assert (len(images), images.targets[0]) == (2, None)


def test_nothing(tmp_path):
    with pytest.raises(DataError, match="has no folders with images"):
        read_unlabelled(tmp_path)
    with pytest.raises(DataError, match="does not exist; give a folder"):
        read_unlabelled(tmp_path / "none")
    with pytest.raises(DataError, match="does not exist or is not a file"):
        read_unlabelled(tmp_path / "none.parquet")
