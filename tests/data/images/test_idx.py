import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.images.idx import holds_idx, read_idx, read_mnist
from autobalance.errors import DataError


def idx(array, kind=8):
    header = bytes([0, 0, kind, array.ndim])
    return header + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path, noise):
    for prefix, rows in [("train", 6), ("t10k", 2)]:
        images, labels = noise(rows, 3, 5), np.arange(rows, dtype=np.uint8)
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), zipped=st.booleans())
def test_round_trip(tmp_path_factory, noise, shape, zipped):
    path = tmp_path_factory.mktemp("idx") / "x"
    array = noise(*shape)
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_array_or_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("idx") / "x"
    for beginning in (b"", b"\0\0\x08\x01", b"\x1f\x8b"):
        path.write_bytes(beginning + data)
        try:
            array = read_idx(path)
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert math.prod(array.shape) == array.size > 0


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_truncation_is_one_clear_error(tmp_path, noise, pack):
    data = pack(idx(noise(4, 3, 3)))
    path = tmp_path / "torn"
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(DataError, match=r"torn.*download it again"):
            read_idx(path)
    path.write_bytes(data + b"\0\0")
    if pack is bytes:
        with pytest.raises(DataError, match="holds 38 values where its header promises 36"):
            read_idx(path)


def test_what_is_no_idx_file(tmp_path, noise):
    path = tmp_path / "x"
    path.write_bytes(idx(noise(2), kind=13))
    with pytest.raises(DataError, match="begins with 00 00 0d 01, so it is no IDX file of bytes"):
        read_idx(path)
    path.write_bytes(idx(noise(0)))
    with pytest.raises(DataError, match="holds 0 values where its header promises 0"):
        read_idx(path)
    with pytest.raises(DataError, match=r"cannot read .*none \(No such file"):
        read_idx(tmp_path / "none")


def test_mnist(mnist):
    images = read_mnist(mnist)
    assert images.images.shape == (1, 3, 5)
    assert images.split.tolist() == ["train"] * 6 + ["test"] * 2
    assert images.targets.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert type(images.targets[0]) is int
    np.testing.assert_array_equal(
        images.part("test").images[1][0], read_idx(mnist / "t10k-images-idx3-ubyte")[1]
    )
    assert holds_idx(mnist)
    assert not holds_idx(mnist / "none")


def test_the_spelling_of_some_unpackers(mnist):
    (mnist / "train-images-idx3-ubyte").rename(mnist / "train-images.idx3-ubyte")
    assert len(read_mnist(mnist)) == 8


def test_a_missing_file_is_named(mnist):
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"has no t10k-labels-idx1-ubyte \(or \.gz\); put it there"):
        read_mnist(mnist)


def test_files_that_do_not_belong_together(mnist, noise):
    images, labels = mnist / "t10k-images-idx3-ubyte", mnist / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(idx(noise(3)))
    with pytest.raises(DataError, match=r"holds 2 images but .*labels-idx1-ubyte\.gz 3 labels"):
        read_mnist(mnist)
    labels.write_bytes(idx(noise(2, 2)))
    with pytest.raises(DataError, match=r"labels-idx1-ubyte\.gz holds an array of 2 dimensions"):
        read_mnist(mnist)
    labels.write_bytes(idx(noise(2)))
    images.write_bytes(idx(noise(2, 4, 4)))
    with pytest.raises(DataError, match=r"have \(3, 5\) pixels in train but \(4, 4\) in t10k"):
        read_mnist(mnist)
