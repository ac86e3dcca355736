"""The real files, read by their names, against the counts their README states."""

import numpy as np
import pytest

from autobalance.data.images.named import CIFAR10_CLASSES, read_named
from autobalance.data.images.sources import PixelArray, pixels
from autobalance.data.longtail import long_tailed_indices

pytestmark = pytest.mark.data


def test_cifar10(data_dir):
    images = read_named("cifar10", data_dir)
    train = images.part("train")
    assert (len(train), len(images.part("test"))) == (50_000, 10_000)
    codes = np.array([CIFAR10_CLASSES.index(name) for name in train.targets])
    assert np.bincount(codes).tolist() == [5_000] * 10
    array = pixels(train.rows(np.arange(500)).images)
    assert (array.shape, array.dtype) == ((500, 3, 32, 32), np.uint8)
    assert train.targets[:5].tolist() == ["frog", "truck", "truck", "deer", "automobile"]
    assert len(long_tailed_indices(codes, 100.0)) == 12_414
    assert len(long_tailed_indices(codes, 100.0, "floor")) == 12_406


def test_fashion_mnist(data_dir):
    images = read_named("fashion-mnist", data_dir)
    assert isinstance(images.images, PixelArray)
    assert images.images.shape == (1, 28, 28)
    for part, size in (("train", 6_000), ("test", 1_000)):
        classes = images.part(part).targets.astype(int)
        assert np.bincount(classes).tolist() == [size] * 10


def test_waterbirds(data_dir):
    images = read_named("waterbirds", data_dir)
    cells = {
        part: [
            int(((chosen.targets == bird) & (chosen.groups == place)).sum())
            for bird in ("landbird", "waterbird")
            for place in ("land", "water")
        ]
        for part in ("train", "validation", "test")
        for chosen in [images.part(part)]
    }
    assert cells == {
        "train": [3498, 184, 56, 1057],
        "validation": [467, 466, 133, 133],
        "test": [2255, 2255, 642, 642],
    }
    assert images.images[0].shape == (3, 64, 64)
