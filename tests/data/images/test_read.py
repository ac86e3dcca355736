from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autobalance.data.images.read import holds_images, read_images
from autobalance.errors import DataError


def write_idx(folder):
    for prefix in ("train", "t10k"):
        header = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2])
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + bytes(4))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))


def test_every_form_is_recognised(tmp_path, png, plant, parquet):
    idx, shards, folder = (tmp_path / name for name in ("idx", "shards", "folder"))
    idx.mkdir()
    write_idx(idx)
    file = parquet(shards / "train.parquet", [png()], y=[1])
    plant(folder / "cat" / "a.png")
    for path, target, split in [
        (idx, 7, "train"),
        (shards, 1, "train"),
        (file, 1, None),
        (folder, "cat", None),
    ]:
        assert holds_images(path)
        images = read_images(path)
        assert images.targets[0] == target
        assert (None if images.split is None else images.split[0]) == split


def test_columns_reach_the_readers(tmp_path, png, parquet):
    columns = {"kind": ["a"], "place": ["b"], "fold": ["val"]}
    file = parquet(tmp_path / "a.PARQUET", [png()], **columns)
    folder = parquet(tmp_path / "x" / "a.parquet", [png()], **columns).parent
    for path in (file, folder):
        images = read_images(path, "kind", ["place"], "fold")
        assert (images.targets[0], images.groups[0], images.split[0]) == ("a", "b", "validation")


def test_idx_files_have_no_columns(tmp_path):
    write_idx(tmp_path)
    for columns in ({"target": "y"}, {"groups": ["y"]}, {"split": "y"}):
        with pytest.raises(DataError, match="holds IDX files, which have no column 'y'; leave"):
            read_images(tmp_path, **columns)


def test_what_is_no_set_of_images(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    pq.write_table(pa.table({"x": [1.0], "y": [0]}), tmp_path / "a.parquet")
    (tmp_path / "empty").mkdir()
    for name, message in [
        ("a.csv", "is neither a folder nor a Parquet file; give a folder of images"),
        ("none", "does not exist; give a folder of images"),
        ("none.parquet", "does not exist or is not a file"),
        ("a.parquet", "has no column of images"),
        ("empty", "has no folders with images"),
    ]:
        assert not holds_images(tmp_path / name)
        with pytest.raises(DataError, match=message):
            read_images(tmp_path / name)


def test_a_folder_of_tables_holds_no_images(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "y": [0]}), tmp_path / "a.parquet")
    assert not holds_images(tmp_path)


def test_what_the_system_keeps_back(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    monkeypatch.setattr(Path, "is_file", refuse)
    assert not holds_images(tmp_path)
    with pytest.raises(DataError, match=r"^cannot read .* \(Permission denied\); check its perm"):
        read_images(tmp_path)
