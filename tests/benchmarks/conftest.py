"""A small long-tailed set of images, as a case of the benchmarks on images."""

import numpy as np
import pytest
import torch

from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples
from benchmarks.long_tail.cases import Case, Data
from benchmarks.long_tail.lab import Lab, Recipe

COUNTS = (60, 30, 15)


def draw(counts, seed):
    """Grey 8 × 8 images whose classes differ in one quarter's brightness."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    images = rng.integers(0, 120, (len(y), 1, 8, 8))
    for k in range(len(counts)):
        images[y == k, :, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] += 60
    return torch.from_numpy(images.astype(np.uint8)), y


@pytest.fixture
def toy_case():
    return Case("toy", "Toy", COUNTS[0], CropAndFlip(1))


@pytest.fixture
def lab(toy_case):
    images, y = draw(COUNTS, 0)
    test_images, test_y = draw((20, 20, 20), 1)
    data = Data(Examples.coded(images, y), test_images, test_y)
    return Lab(toy_case, data, Recipe(epochs=20, device="cpu"), seed=0)
