"""Data sets known by name: where their files belong, and what reads them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from autobalance.data.images.access import reading
from autobalance.data.images.cifar import (
    holds_cifar10,
    holds_cifar100,
    read_cifar10,
    read_cifar100,
)
from autobalance.data.images.idx import holds_idx, read_mnist
from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.inaturalist import holds_inaturalist, read_inaturalist
from autobalance.data.images.lists import holds_imagenet_lt, read_imagenet_lt
from autobalance.data.images.parquet import read_shards, shards
from autobalance.data.images.waterbirds import holds_waterbirds, read_waterbirds
from autobalance.data.wording import listing
from autobalance.errors import DataError

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes of CIFAR-10 by their numbers, for copies that leave the names out."""


@dataclass(frozen=True)
class Layout:
    """One form in which a data set lies in its folder.

    Parameters
    ----------
    holds
        Whether a folder has it, even if only in part.
    read
        Its reader.
    """

    holds: Callable[[Path], bool]
    read: Callable[[Path], ImageSet]


@dataclass(frozen=True)
class NamedImages:
    """What is to know of a data set before it is read.

    Parameters
    ----------
    folder
        Where its files belong, in the folder of all data.
    download
        What to download and from where, as the error says it.
    layouts
        The forms it may have there; the first one that is there is read.
    counts
        Its official number of examples in each part.
    """

    folder: str
    download: str
    layouts: tuple[Layout, ...]
    counts: Mapping[str, int]


def holds_shards(folder: Path) -> bool:
    """Whether a folder, or ``data`` in it, holds Parquet files."""
    return bool(shards(folder))


def _read_cifar10_shards(folder: Path) -> ImageSet:
    found = read_shards(folder)
    if not set(found.targets) <= set(range(len(CIFAR10_CLASSES))):
        return found
    return replace(found, targets=as_objects([CIFAR10_CLASSES[code] for code in found.targets]))


_CIFAR = "from https://www.cs.toronto.edu/~kriz/cifar.html"
_MNIST_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz"
)
_MNIST_LAYOUTS = (Layout(holds_idx, read_mnist), Layout(holds_shards, read_shards))
_MNIST_COUNTS = MappingProxyType({"train": 60_000, "test": 10_000})
_CIFAR_COUNTS = MappingProxyType({"train": 50_000, "test": 10_000})

NAMED: Mapping[str, NamedImages] = MappingProxyType(
    {
        "cifar10": NamedImages(
            "cifar10",
            f"cifar-10-binary.tar.gz {_CIFAR}",
            (Layout(holds_cifar10, read_cifar10), Layout(holds_shards, _read_cifar10_shards)),
            _CIFAR_COUNTS,
        ),
        "cifar100": NamedImages(
            "cifar100",
            f"cifar-100-binary.tar.gz {_CIFAR}",
            (Layout(holds_cifar100, read_cifar100), Layout(holds_shards, read_shards)),
            _CIFAR_COUNTS,
        ),
        "fashion-mnist": NamedImages(
            "fashion-mnist",
            f"{_MNIST_FILES} from https://github.com/zalandoresearch/fashion-mnist",
            _MNIST_LAYOUTS,
            _MNIST_COUNTS,
        ),
        "mnist": NamedImages(
            "mnist",
            f"{_MNIST_FILES} from https://storage.googleapis.com/cvdf-datasets/mnist",
            _MNIST_LAYOUTS,
            _MNIST_COUNTS,
        ),
        "imagenet-lt": NamedImages(
            "imagenet-lt",
            "ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt from "
            "https://github.com/zhmiao/OpenLongTailRecognition-OLTR and the folders train and val "
            "of ImageNet 2012 from https://www.image-net.org",
            (Layout(holds_imagenet_lt, read_imagenet_lt),),
            MappingProxyType({"train": 115_846, "validation": 20_000, "test": 50_000}),
        ),
        "inaturalist-2018": NamedImages(
            "inaturalist-2018",
            "train2018.json, val2018.json and the folder train_val2018 from "
            "https://github.com/visipedia/inat_comp/tree/master/2018",
            (Layout(holds_inaturalist, read_inaturalist),),
            MappingProxyType({"train": 437_513, "validation": 24_426}),
        ),
        "waterbirds": NamedImages(
            "waterbirds",
            "waterbird_complete95_forest2water2.tar.gz from "
            "https://github.com/kohpangwei/group_DRO and unpack it",
            (Layout(holds_waterbirds, read_waterbirds),),
            MappingProxyType({"train": 4_795, "validation": 1_199, "test": 5_794}),
        ),
    }
)
"""The data sets that :func:`read_named` knows."""


def read_named(name: str, data_dir: Path) -> ImageSet:
    """Read a well-known data set.

    Parameters
    ----------
    name
        One of :data:`NAMED`.
    data_dir
        The folder that holds a folder for each data set.

    Returns
    -------
    ImageSet
        All its images, with ``split`` set. A warning says if a part has not its official size.

    Raises
    ------
    DataError
        If the name is unknown or the data set is missing, in whole or in part, or damaged.
    """
    if name not in NAMED:
        raise DataError(
            f"there is no image data set {name!r}; choose among {listing(list(NAMED), 20)}"
        )
    known = NAMED[name]
    folder = data_dir / known.folder
    with reading(folder):
        layout = next((layout for layout in known.layouts if layout.holds(folder)), None)
        if layout is None:
            raise DataError(f"{name} is not in {data_dir}; download {known.download} into {folder}")
        found = layout.read(folder)
    if found.split is None:
        raise DataError(
            f"the files of {name} in {folder} do not say what is train and what is test; "
            f"download {known.download} into it"
        )
    parts, sizes = np.unique(found.split.astype(str), return_counts=True)
    counts = dict(zip(parts.tolist(), sizes.tolist(), strict=True))
    for part, official in known.counts.items():
        if counts.get(part, 0) != official:
            warnings.warn(
                f"{name} in {folder} has {counts.get(part, 0):,} {part} images where the official "
                f"one has {official:,}: results do not compare with published ones",
                stacklevel=2,
            )
    return found
