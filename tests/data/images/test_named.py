import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import autobalance.data.images.named as module
from autobalance.data.images.named import CIFAR10_CLASSES, NAMED, read_named
from autobalance.errors import DataError


def idx(array):
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write_mnist(folder, noise):
    folder.mkdir()
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(noise(2, 4, 4)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.uint8([3, 4])))


@pytest.fixture
def small(monkeypatch):
    """Data sets of which the official copy has two images in each part."""
    few = {
        name: replace(known, counts=dict.fromkeys(known.counts, 2)) for name, known in NAMED.items()
    }
    monkeypatch.setattr(module, "NAMED", few)


@pytest.mark.parametrize("name", NAMED)
def test_a_missing_data_set_says_what_to_download_and_where_to_put_it(tmp_path, name):
    folder = tmp_path / NAMED[name].folder
    pattern = (
        f"^{name} is not in {re.escape(str(tmp_path))}; download .* from https://.* into "
        f"{re.escape(str(folder))}$"
    )
    with pytest.raises(DataError, match=pattern):
        read_named(name, tmp_path)
    folder.mkdir()
    with pytest.raises(DataError, match=pattern):
        read_named(name, tmp_path)


def test_an_unknown_name(tmp_path):
    with pytest.raises(
        DataError, match=r"^there is no image data set 'cifar'; choose among"
    ) as info:
        read_named("cifar", tmp_path)
    assert str(info.value).endswith(", ".join(map(repr, NAMED)))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.usefixtures("small")
def test_a_whole_data_set(tmp_path, noise, name):
    write_mnist(tmp_path / name, noise)
    assert read_named(name, tmp_path).targets.tolist() == [3, 4, 3, 4]


def test_a_part_of_another_size_is_a_warning(tmp_path, noise):
    write_mnist(tmp_path / "mnist", noise)
    with (
        pytest.warns(
            UserWarning, match="has 2 train images where the official one has 60,000: res"
        ),
        pytest.warns(UserWarning, match="has 2 test images where the official one has 10,000"),
    ):
        assert len(read_named("mnist", tmp_path)) == 4


@pytest.mark.usefixtures("small")
def test_cifar_from_the_hub_gets_the_names_of_its_classes(tmp_path, png, parquet):
    for part in ("train", "test"):
        path = tmp_path / "cifar10" / f"{part}-00000-of-00001.parquet"
        parquet(path, [png(), png()], column="img", label=[9, 0])
    images = read_named("cifar10", tmp_path)
    assert images.targets.tolist() == ["truck", "airplane"] * 2
    assert images.split.tolist() == ["test", "test", "train", "train"]
    names = {"label": {"_type": "ClassLabel", "names": list(CIFAR10_CLASSES)}}
    for part in ("train", "test"):
        path = tmp_path / "cifar10" / f"{part}-00000-of-00001.parquet"
        parquet(path, [png(), png()], names, column="img", label=[9, 0])
    assert read_named("cifar10", tmp_path).targets.tolist() == ["truck", "airplane"] * 2


@pytest.mark.usefixtures("small")
def test_cifar100_from_the_hub(tmp_path, png, parquet):
    for part in ("train", "test"):
        path = tmp_path / "cifar100" / "data" / f"{part}.parquet"
        parquet(path, [png(), png()], column="img", fine_label=[9, 0], coarse_label=[1, 1])
    assert read_named("cifar100", tmp_path).targets.tolist() == [9, 0, 9, 0]


def test_files_that_do_not_say_what_is_test(tmp_path, png, parquet):
    parquet(tmp_path / "cifar10" / "images.parquet", [png()], label=[3])
    with pytest.raises(
        DataError,
        match=r"the files of cifar10 in .* do not say what is train .*; download cifar-10",
    ):
        read_named("cifar10", tmp_path)


def test_what_the_system_keeps_back(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(
        DataError, match=r"^cannot read .*mnist \(Permission denied\); check its per"
    ):
        read_named("mnist", tmp_path)
