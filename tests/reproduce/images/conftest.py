"""A small long-tailed set of images, a recipe for it, and folders in the published layouts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.reproduce.images import settings, transfer, work
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.settings import (
    FASHION_MNIST_LT,
    Course,
    Recipe,
    Source,
)
from autobalance.reproduce.images.work import Job
from autobalance.reproduce.request import AUTHORS_CODE, PAPER
from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

COUNTS = (60, 30, 15)
LARGEST = 200
OTHER = "other-lt"
_TRAINING = TrainingSettings(
    epochs=3, batch_size=16, learning_rate=0.05, momentum=0.9, augment=CropAndFlip(1)
)
RECIPE = Recipe(
    Source("fashion-mnist", "Toy-LT", LARGEST),
    "strided-cnn",
    _TRAINING,
    _TRAINING,
    Course(SearchPlan(warm_up=0.2, moves=2, learning_rate=0.15, batch_size=12)),
    "class",
    start="cross-entropy",
)


def draw(counts, seed, side=8):
    """Grey images whose classes differ in one quarter's brightness, and their classes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    half = side // 2
    images = rng.integers(0, 120, (len(y), 1, side, side))
    for k in range(len(counts)):
        top, left = half * (k // 2), half * (k % 2)
        images[y == k, :, top : top + half, left : left + half] += 60
    return images.astype(np.uint8), y


@pytest.fixture(name="draw", scope="session")
def _draw():
    return draw


@pytest.fixture(scope="session")
def examples():
    """Of three classes, the first of which has four times as many as the last."""
    images, y = draw(COUNTS, 0)
    return Examples.coded(torch.from_numpy(images), y)


@pytest.fixture
def recipe():
    return RECIPE


@pytest.fixture
def lab(examples):
    return ImageLab(examples, RECIPE, 0, "cpu")


@pytest.fixture
def lab_of(examples):
    """A lab with other settings, of both trainings or of the recipe."""

    def make(seed=0, training=None, train=examples, **changes):
        both = replace(_TRAINING, **training or {})
        recipe = replace(RECIPE, searching=both, retraining=both)
        return ImageLab(train, replace(recipe, **changes), seed, "cpu")

    return make


def idx(array):
    """An array of bytes in the format of MNIST."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_idx(folder, n_classes=3, shuffled=False):
    """The four files of a data set like MNIST; ``shuffled`` mixes the scored labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, size, seed in (("train", LARGEST + 5, 0), ("t10k", 10, 1)):
        images, y = draw((size,) * n_classes, seed)
        order = np.random.default_rng(seed).permutation(len(y))
        images, y = images[order], y[order]
        if shuffled and prefix == "t10k":
            y = np.random.default_rng(2).permutation(y)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(y))
    return folder


@pytest.fixture(name="write_idx", scope="session")
def _write_idx():
    return write_idx


@pytest.fixture
def data_folder(tmp_path):
    """All data: three classes in the place of Fashion-MNIST, four in that of MNIST."""
    write_idx(tmp_path / "data" / "fashion-mnist")
    write_idx(tmp_path / "data" / "mnist", n_classes=4)
    return tmp_path / "data"


@pytest.fixture
def recipes(monkeypatch):
    """Recipes of the toy data in the place of all others."""
    other = replace(RECIPE, source=Source("mnist", "Other-LT", LARGEST))
    known = {PAPER: {FASHION_MNIST_LT: RECIPE, OTHER: other}, AUTHORS_CODE: {}}
    drawn = replace(_TRAINING, weights="draw")
    with_policies = replace(RECIPE, searching=drawn, retraining=drawn, start="weighted")
    monkeypatch.setattr(settings, "RECIPES", known)
    monkeypatch.setattr(settings, "WITH_POLICIES", {FASHION_MNIST_LT: with_policies})
    monkeypatch.setitem(transfer.OTHER_DATA, FASHION_MNIST_LT, OTHER)
    return known


@pytest.fixture(autouse=True)
def _read_anew():
    """Data that another test has read is not taken for this one's."""
    work._read.cache_clear()


@pytest.fixture
def job(data_folder):
    """The toy data, on the CPU."""
    return Job(FASHION_MNIST_LT, data_folder, RECIPE, device="cpu")


@pytest.fixture
def asked(request_for, data_folder, recipes):
    """A request for the toy data with one seed."""

    def make(**options):
        return request_for(data_folder, **{"seeds": 1, "device": "cpu", **options})

    return make


@pytest.fixture
def image(tmp_path):
    """Writes an image file of one colour, and the folders above it."""
    pillow = pytest.importorskip("PIL.Image")

    def write(path, colour, size=(12, 12), form="PNG"):
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = "L" if isinstance(colour, int) else "RGB"
        pillow.new(mode, size[::-1], colour).save(path, form)
        return path

    return write


@pytest.fixture
def imagenet_lt(tmp_path, image):
    """ImageNet-LT with nine training images of three classes, and three of each other part."""
    folder = tmp_path / "data" / "imagenet-lt"
    parts = {"train": (0, 0, 0, 0, 0, 1, 1, 2, 2), "val": (0, 1, 2), "test": (0, 1, 2)}
    for part, classes in parts.items():
        names = [f"{part}/n{k}/{place}.JPEG" for place, k in enumerate(classes)]
        lines = [f"{name} {k}" for name, k in zip(names, classes, strict=True)]
        for place, (name, k) in enumerate(zip(names, classes, strict=True)):
            image(folder / name, (80 * k, place, 200), (12, 16), "JPEG")
        (folder / f"ImageNet_LT_{part}.txt").write_text("\n".join(lines))
    return folder.parent


@pytest.fixture
def inaturalist(tmp_path, image):
    """iNaturalist with four training images of two species, and two to validate."""
    folder = tmp_path / "data" / "inaturalist-2018"
    for part, classes in (("train", (0, 0, 0, 1)), ("val", (1, 0))):
        names = [f"train_val2018/{part}{place}.jpg" for place in range(len(classes))]
        for name, k in zip(names, classes, strict=True):
            image(folder / name, (80 * k, 10, 200), (12, 16), "JPEG")
        document = {
            "images": [{"id": at, "file_name": name} for at, name in enumerate(names)],
            "annotations": [{"image_id": at, "category_id": k} for at, k in enumerate(classes)],
            "categories": [{"id": 0}, {"id": 1}],
        }
        (folder / f"{part}2018.json").write_text(json.dumps(document))
    return folder.parent
