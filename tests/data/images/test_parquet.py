import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autobalance.data.images.parquet import (
    has_image_column,
    read_image_column,
    read_parquet,
    read_shards,
    shards,
)
from autobalance.errors import DataError

CLASSES = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}


@pytest.fixture
def two(png):
    return [png((1, 0, 0)), png((2, 0, 0))]


def test_a_file_of_the_hub(tmp_path, two, parquet, first_pixel):
    path = parquet(tmp_path / "a.parquet", two, CLASSES, label=[1, 0], place=["x", "y"])
    images = read_parquet(path, groups=["place"])
    assert first_pixel(images.images) == [[1, 0, 0], [2, 0, 0]]
    assert images.targets.tolist() == ["dog", "cat"]
    assert images.groups.tolist() == ["x", "y"]
    assert images.split is None
    assert read_parquet(parquet(path, two, label=[1, 0])).targets.tolist() == [1, 0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_binary(tmp_path, two, kind, first_pixel):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"jpg": pa.array(two, kind), "y": [0, 1]}), path)
    assert has_image_column(path)
    assert first_pixel(read_parquet(path).images) == [[1, 0, 0], [2, 0, 0]]


def test_a_struct_comes_before_binary_and_image_before_others(tmp_path, two, first_pixel):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": two[1], "path": "b.png"}], kind)
    masks = pa.array([{"bytes": two[0], "path": "a.png"}], kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"thumb": [two[0]], "photo": cells, "y": [0]}), path)
    assert first_pixel(read_parquet(path).images) == [[2, 0, 0]]
    pq.write_table(pa.table({"mask": masks, "image": cells, "y": [0]}), path)
    assert first_pixel(read_parquet(path).images) == [[2, 0, 0]]
    pq.write_table(pa.table({"mask": masks, "photo": cells, "y": [0]}), path)
    with pytest.raises(
        DataError, match="has several columns of images, 'mask', 'photo'; name the one"
    ):
        read_parquet(path)


def test_the_index_of_pandas_is_a_column_like_any_other(tmp_path, two):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"img": two, "y": [0, 1], "split": ["train", "test"]})
    path = tmp_path / "a.parquet"
    frame.set_index("split").to_parquet(path)
    assert read_parquet(path).split.tolist() == ["train", "test"]


def test_an_image_without_bytes(tmp_path, two, parquet):
    path = parquet(tmp_path / "a.parquet", [two[0], None], label=[0, 1])
    images = read_parquet(path).images
    assert images[0].shape == (3, 4, 4)
    with pytest.raises(DataError, match=r"image 1 of .*a\.parquet has no bytes; save the data set"):
        images[1]


def test_an_unknown_class(tmp_path, two, parquet):
    path = parquet(tmp_path / "a.parquet", two, CLASSES, label=[1, -1])
    with pytest.raises(DataError, match=r"'label' of .*a\.parquet has no value in 1 row"):
        read_parquet(path)


@pytest.mark.parametrize(
    "features", [[1], "text", {"label": {"_type": "ClassLabel"}}, {"label": {"_type": []}}]
)
def test_other_metadata_are_passed_over_or_refused(tmp_path, two, parquet, features):
    path = parquet(tmp_path / "a.parquet", two, features, label=[1, 0])
    if features == {"label": {"_type": []}}:
        assert read_parquet(path).targets.tolist() == [1, 0]
    else:
        with pytest.raises(DataError, match=r"the huggingface metadata of .*a\.parquet are damag"):
            read_parquet(path)


def test_what_is_no_file_of_images(tmp_path, two, parquet):
    path = tmp_path / "a.parquet"
    with pytest.raises(DataError, match="does not exist or is not a file"):
        read_parquet(path)
    pq.write_table(pa.table({"x": [1], "y": [0]}), path)
    with pytest.raises(DataError, match=r"has no column of images .*; it has 'x', 'y'"):
        read_parquet(path)
    assert not has_image_column(path)
    with pytest.raises(DataError, match="has columns but no rows"):
        read_parquet(parquet(path, [], label=pa.array([], pa.int64())))
    twice = pa.Table.from_arrays(
        [pa.array(two), pa.array([0, 1]), pa.array([1, 0])], ["i", "y", "y"]
    )
    pq.write_table(twice, path)
    with pytest.raises(DataError, match="has more than one column named 'y'"):
        read_parquet(path)


def test_torn_files(tmp_path, two, parquet):
    path = parquet(tmp_path / "a.parquet", two, CLASSES, label=[1, 0])
    data = path.read_bytes()
    for end in range(0, len(data), 50):
        path.write_bytes(data[:end])
        with pytest.raises(DataError, match=r"cannot read .*a\.parquet as Parquet \(.*download it"):
            read_parquet(path)
        assert not has_image_column(path)


def test_shards(tmp_path, two, parquet, first_pixel):
    for name, image in [
        ("train-00000-of-00002", two[0]),
        ("train-00001-of-00002", two[1]),
        ("test-00000-of-00001-0123abcd", two[0]),
        ("validation", two[1]),
    ]:
        parquet(tmp_path / "data" / f"{name}.parquet", [image], CLASSES, label=[1])
    images = read_shards(tmp_path)
    assert images.split.tolist() == ["test", "train", "train", "validation"]
    assert first_pixel(images.part("train").images) == [[1, 0, 0], [2, 0, 0]]
    assert images.targets.tolist() == ["dog"] * 4
    assert len(shards(tmp_path)) == 4
    parquet(tmp_path / "a.parquet", two, label=[1, 0])
    assert shards(tmp_path) == [tmp_path / "a.parquet"]


def test_a_named_column_comes_before_the_names_of_the_files(tmp_path, two, parquet):
    parquet(tmp_path / "train.parquet", two, label=[1, 0], fold=["val", "test"])
    assert read_shards(tmp_path).split.tolist() == ["train", "train"]
    assert read_shards(tmp_path, split="fold").split.tolist() == ["validation", "test"]


def test_shards_that_do_not_make_a_whole(tmp_path, two, parquet):
    with pytest.raises(DataError, match="has no Parquet file; check the folder"):
        read_shards(tmp_path)
    parquet(tmp_path / "train-00001-of-00002.parquet", two, label=[1, 0])
    with pytest.raises(
        DataError, match=r"has no train-00000-of-00002\.parquet; put it beside the other shards"
    ):
        read_shards(tmp_path)
    parquet(tmp_path / "train-00000-of-00002.parquet", two, label=[1, 0])
    parquet(tmp_path / "more.parquet", two, label=[1, 0])
    with pytest.raises(DataError, match=r"only some files of .* name parts"):
        read_shards(tmp_path)


def test_the_other_columns(tmp_path, two, parquet):
    table, images = read_image_column(parquet(tmp_path / "a.parquet", two, x=[5, 6]))
    assert (table.names, len(table), len(images)) == (["x"], 2, 2)
    table, images = read_image_column(parquet(tmp_path / "a.parquet", two))
    assert (table.names, len(images)) == ([], 2)
