import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest

from autobalance.data.images.cifar import (
    holds_cifar10,
    holds_cifar100,
    read_cifar10,
    read_cifar100,
)
from autobalance.errors import DataError

TEN = [f"name{code}" for code in range(10)]
HUNDRED = [f"fine_{code}" for code in range(100)]
PIXELS = 3 * 32 * 32


def batch(number, size=2):
    """Codes, and images that are all of one colour a channel, which tells them apart."""
    codes = [(number + place) % 10 for place in range(size)]
    images = np.zeros((size, 3, 32, 32), dtype=np.uint8)
    images[:] = np.array([[10 * number + place, 1, 2] for place in range(size)])[..., None, None]
    images[:, :, 0, -1] = 99  # the end of the first row: rows come before columns
    return codes, images.reshape(size, PIXELS)


def cifar10_binary():
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    files = {"batches.meta.txt": "\n".join(TEN).encode() + b"\n\n"}
    for number, name in enumerate(names):
        codes, images = batch(number)
        files[name] = np.column_stack([np.uint8(codes), images]).tobytes()
    return "cifar-10-batches-bin", files


def cifar10_python():
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    files = {"batches.meta": pickle.dumps({b"label_names": TEN}, protocol=2)}
    for number, name in enumerate(names):
        codes, images = batch(number)
        files[name] = pickle.dumps({"data": images, "labels": codes}, protocol=2)
    return "cifar-10-batches-py", files


def cifar100_binary():
    files = {"fine_label_names.txt": "\n".join(HUNDRED).encode()}
    for number, name in enumerate(["train.bin", "test.bin"]):
        codes, images = batch(number)
        coarse = np.full(len(codes), 19, dtype=np.uint8)
        files[name] = np.column_stack([coarse, np.uint8(codes) + 90, images]).tobytes()
    return "cifar-100-binary", files


def cifar100_python():
    meta = {"fine_label_names": HUNDRED, "coarse_label_names": ["fruit"]}
    files = {"meta": pickle.dumps(meta, protocol=2)}
    for number, name in enumerate(["train", "test"]):
        codes, images = batch(number)
        labels = {"fine_labels": [code + 90 for code in codes], "coarse_labels": [0] * len(codes)}
        files[name] = pickle.dumps({"data": images, **labels}, protocol=2)
    return "cifar-100-python", files


ARCHIVES = {
    "cifar-10-batches-bin": "cifar-10-binary.tar.gz",
    "cifar-10-batches-py": "cifar-10-python.tar.gz",
    "cifar-100-binary": "cifar-100-binary.tar.gz",
    "cifar-100-python": "cifar-100-python.tar.gz",
}


def pack(folder, inner, files):
    path = folder / ARCHIVES[inner]
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def unpack(folder, inner, files):
    (folder / inner).mkdir()
    for name, data in files.items():
        (folder / inner / name).write_bytes(data)


def unpack_here(folder, inner, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("lay", [pack, unpack, unpack_here])
@pytest.mark.parametrize("make", [cifar10_binary, cifar10_python])
def test_cifar10(tmp_path, first_pixel, make, lay):
    assert not holds_cifar10(tmp_path)
    lay(tmp_path, *make())
    assert holds_cifar10(tmp_path)
    assert not holds_cifar100(tmp_path)
    images = read_cifar10(tmp_path)
    assert (len(images), images.images.shape) == (12, (3, 32, 32))
    assert images.split.tolist() == ["train"] * 10 + ["test"] * 2
    assert images.targets.tolist() == [
        TEN[number + place] for number in range(6) for place in range(2)
    ]
    assert first_pixel(images.images) == [
        [10 * number + place, 1, 2] for number in range(6) for place in range(2)
    ]
    assert images.images[0][:, 0, 31].tolist() == [99, 99, 99]


@pytest.mark.parametrize("lay", [pack, unpack, unpack_here])
@pytest.mark.parametrize("make", [cifar100_binary, cifar100_python])
def test_cifar100(tmp_path, first_pixel, make, lay):
    assert not holds_cifar100(tmp_path)
    lay(tmp_path, *make())
    assert holds_cifar100(tmp_path)
    images = read_cifar100(tmp_path)
    assert images.targets.tolist() == ["fine_90", "fine_91", "fine_91", "fine_92"]
    assert images.split.tolist() == ["train", "train", "test", "test"]
    assert first_pixel(images.images) == [[0, 1, 2], [1, 1, 2], [10, 1, 2], [11, 1, 2]]


def test_the_binary_form_is_preferred(tmp_path):
    pack(tmp_path, *cifar10_binary())
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"never opened")
    assert len(read_cifar10(tmp_path)) == 12


def test_nothing_there(tmp_path):
    with pytest.raises(
        DataError, match=r"has no cifar-10-binary\.tar\.gz or cifar-10-python\.tar\.gz; put one"
    ):
        read_cifar10(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    inner, files = cifar10_binary()
    del files["data_batch_3.bin"]
    path = pack(tmp_path, inner, files)
    with pytest.raises(
        DataError, match=r"has no cifar-10-batches-bin/data_batch_3\.bin in it; download it again"
    ):
        read_cifar10(tmp_path)
    path.unlink()
    unpack(tmp_path, inner, files)
    with pytest.raises(
        DataError, match=r"has no data_batch_3\.bin; unpack cifar-10-binary\.tar\.gz again"
    ):
        read_cifar10(tmp_path)
    (tmp_path / inner / "data_batch_3.bin").mkdir()
    with pytest.raises(DataError, match=r"cannot read .*data_batch_3\.bin \(Is a directory\)"):
        read_cifar10(tmp_path)


def test_damaged_batches(tmp_path):
    inner, files = cifar10_binary()
    unpack(tmp_path, inner, files)
    place = tmp_path / inner / "data_batch_2.bin"
    for data in (b"", files[place.name][:-1]):
        place.write_bytes(data)
        with pytest.raises(DataError, match=r"which is no multiple of the 3,073 of an image"):
            read_cifar10(tmp_path)
    place.write_bytes(b"\x0a" + files[place.name][1:])
    with pytest.raises(
        DataError, match=r"data_batch_2\.bin has a class 10 but batches\.meta\.txt names 10 classes"
    ):
        read_cifar10(tmp_path)


def test_torn_archives(tmp_path):
    path = pack(tmp_path, *cifar10_binary())
    data = path.read_bytes()
    for end in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:end])
        with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz.*download it again"):
            read_cifar10(tmp_path)
    for other in (b"text", gzip.compress(b"text" * 1000)):
        path.write_bytes(other)
        with pytest.raises(DataError, match=r"cannot read .*tar\.gz .*; download it again"):
            read_cifar10(tmp_path)


def test_links_in_an_archive_lead_nowhere(tmp_path):
    inner, files = cifar10_binary()
    secret = tmp_path / "secret"
    secret.write_bytes(files.pop("test_batch.bin"))
    path = tmp_path / ARCHIVES[inner]
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"{inner}/test_batch.bin")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
    with pytest.raises(DataError, match=r"test_batch\.bin in it; download it again"):
        read_cifar10(tmp_path)


def test_a_pickle_that_asks_for_more(tmp_path):
    inner, files = cifar10_python()
    files["data_batch_1"] = b"\x80\2cos\nsystem\nU\4true\x85R."
    pack(tmp_path, inner, files)
    with pytest.raises(DataError, match=r"data_batch_1 is damaged .*it asks for os\.system"):
        read_cifar10(tmp_path)
