"""The tail, and that development leaves the test images alone."""

import numpy as np
import pytest

import benchmarks.long_tail.cases
from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import PixelArray
from autobalance.training.augment import CropAndFlip
from benchmarks.long_tail.cases import CASES, LEFT_FOR_DEVELOPMENT, Case, read_case

TRAIN, TEST = 1200, 5


@pytest.fixture
def images(monkeypatch):
    """Ten classes of images whose only pixels are their class and, in the test part, 255."""
    y = np.tile(np.arange(10), TRAIN + TEST)
    part = np.repeat(["train", "test"], [10 * TRAIN, 10 * TEST])
    values = np.stack([y, np.where(part == "test", 255, np.arange(len(y)) // 10 % 200)], 1)
    pixels = PixelArray(values.astype(np.uint8)[:, None, None, :])
    found = ImageSet("toy", pixels, as_objects(y.tolist()), None, part.astype(object))
    monkeypatch.setattr(benchmarks.long_tail.cases, "read_named", lambda *_: found)
    return found


CASE = Case("toy", "Toy", TRAIN, CropAndFlip(1))


def test_the_tail_and_the_whole_test_part(images, tmp_path):
    data = read_case(tmp_path, CASE)
    counts = np.bincount(data.train.targets.numpy())
    assert (counts[0], counts[-1]) == (TRAIN, TRAIN // 100)
    assert (data.train.inputs[:, 0, 0, 0] == data.train.targets).all()
    assert len(data.test_y) == 10 * TEST
    assert (data.test_images[:, 0, 0, 1] == 255).all()


def test_development_scores_the_last_training_images(images, tmp_path):
    data = read_case(tmp_path, CASE, development=True)
    left = TRAIN - LEFT_FOR_DEVELOPMENT
    assert np.bincount(data.train.targets.numpy())[0] == left
    assert np.bincount(data.test_y).tolist() == [LEFT_FOR_DEVELOPMENT] * 10
    assert not (data.test_images[:, 0, 0, 1] == 255).any()
    ranks = data.train.inputs[:, 0, 0, 1].numpy()
    assert ranks.max() < left


@pytest.mark.data
@pytest.mark.parametrize(("name", "size"), [("cifar10-lt", 12_414), ("fashion-mnist-lt", 14_894)])
def test_the_published_sizes(data_dir, name, size):
    assert len(read_case(data_dir, CASES[name]).train) == size
