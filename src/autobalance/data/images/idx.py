"""IDX files, in which MNIST and the data sets in its image are published."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import PixelArray
from autobalance.data.wording import amount
from autobalance.errors import DataError

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTES = b"\x00\x00\x08"
_MAX_DIMENSIONS = 4
_PARTS = {"train": "train", "t10k": "test"}


def read_idx(path: Path) -> UInt8[ndarray, "..."]:
    """Read the array of an IDX file of unsigned bytes, plain or gzipped.

    The file holds two zero bytes, the type 8, the number of dimensions, each dimension in four
    bytes (the high ones first) and the values (http://yann.lecun.com/exdb/mnist).

    Raises
    ------
    DataError
        If the file is missing, no IDX file of bytes, empty, cut off or longer than it says.
    """
    try:
        data = path.read_bytes()
        if data[:2] == _GZIP:
            data = gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot read {path} ({reason}); download it again") from error
    if data[:3] != _UNSIGNED_BYTES or len(data) < 4 or not 1 <= data[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{path} begins with {data[:4].hex(' ') or 'nothing'}, so it is no IDX file of bytes "
            "(00 00 08 and the number of dimensions); download it again"
        )
    start = 4 + 4 * data[3]
    shape = [int.from_bytes(data[place : place + 4], "big") for place in range(4, start, 4)]
    expected, found = math.prod(shape), len(data) - start
    if expected != found or expected == 0:
        raise DataError(
            f"{path} holds {max(found, 0):,} values where its header promises {expected:,}; "
            "download it again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def holds_idx(folder: Path) -> bool:
    """Whether a folder holds any file of the MNIST family."""
    return any(_find(folder, prefix, kind) for prefix in _PARTS for kind in ("images", "labels"))


def read_mnist(folder: Path) -> ImageSet:
    """Read the four files of MNIST, Fashion-MNIST or another of their family.

    They are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same two with
    ``t10k`` for the test part, each plain or with ``.gz``. Targets are the numbers 0 to 9 (for
    some of the family, more).

    Raises
    ------
    DataError
        If a file is missing or damaged, or there is not one label an image.
    """
    images, labels, split = [], [], []
    for prefix, part in _PARTS.items():
        pictures, codes = _part(folder, prefix)
        images.append(pictures)
        labels.append(codes)
        split += [part] * len(codes)
    shapes = [pictures.shape[1:] for pictures in images]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"the images of {folder} have {shapes[0]} pixels in train but {shapes[1]} in t10k; "
            "download the four files again"
        )
    return ImageSet(
        str(folder),
        PixelArray(np.concatenate(images)[:, None]),
        as_objects(np.concatenate(labels).tolist()),
        split=as_objects(split),
    )


def _part(folder: Path, prefix: str) -> tuple[UInt8[ndarray, "N H W"], UInt8[ndarray, "N"]]:
    paths = []
    for kind, dimensions in (("images", 3), ("labels", 1)):
        path = _find(folder, prefix, kind)
        if path is None:
            raise DataError(
                f"{folder} has no {_names(prefix, kind)[0]} (or .gz); put it there beside the "
                "other files of the data set"
            )
        paths.append((path, dimensions))
    arrays = []
    for path, dimensions in paths:
        array = read_idx(path)
        if array.ndim != dimensions:
            raise DataError(
                f"{path} holds an array of {amount(array.ndim, 'dimension')}, not {dimensions}; "
                "download it again"
            )
        arrays.append(array)
    if len(arrays[0]) != len(arrays[1]):
        raise DataError(
            f"{paths[0][0]} holds {amount(len(arrays[0]), 'image')} but {paths[1][0].name} "
            f"{amount(len(arrays[1]), 'label')}; download both again"
        )
    return arrays[0], arrays[1]


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    return next((folder / name for name in _names(prefix, kind) if (folder / name).is_file()), None)


def _names(prefix: str, kind: str) -> list[str]:
    dimensions = 3 if kind == "images" else 1
    # Some unpackers write the suffix .idx3-ubyte.
    stems = [f"{prefix}-{kind}{mark}idx{dimensions}-ubyte" for mark in ("-", ".")]
    return [stem + suffix for stem in stems for suffix in ("", ".gz")]
