"""Images to predict, whether or not anything says what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autobalance.data.images.access import reading
from autobalance.data.images.folder import holds_image_files, image_files
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.joined import join
from autobalance.data.images.parquet import read_image_column, shards
from autobalance.data.images.read import read_images
from autobalance.data.images.sources import ImageFiles, ImageSource


def read_unlabelled(path: Path) -> ImageSet:
    """Read images without their labels, each of which is ``None``.

    Parameters
    ----------
    path
        A Parquet file with a column of images or a folder with such files, a folder with image
        files at any depth, which come in the order of their paths, or the four IDX files of the
        MNIST family.

    Raises
    ------
    DataError
        If there is none, or what is there is damaged.
    """
    with reading(path):
        images = _images(path)
    return ImageSet(str(path), images, np.full(len(images), None, dtype=object))


def _images(path: Path) -> ImageSource:
    tables = shards(path) if path.is_dir() else [path] * (path.suffix.lower() == ".parquet")
    if tables:
        return join([read_image_column(table)[1] for table in tables])
    if path.is_dir() and holds_image_files(path):
        return ImageFiles(list(image_files(path)))
    return read_images(path).images
