"""Long-tailed images: the training part as examples, the scored part sealed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from autobalance.data.images.decoding import fit_to_size
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.joined import JoinedImages
from autobalance.data.images.named import read_named
from autobalance.data.images.sources import EncodedImages, ImageSource, pixels
from autobalance.data.longtail import long_tailed_indices
from autobalance.errors import DataError
from autobalance.reproduce.images.settings import RATIO, Source
from autobalance.reproduce.sealed import Sealed
from autobalance.training.examples import Examples

_COLOURS = 3
_JPEG = b"\xff\xd8"


@dataclass(frozen=True, eq=False)
class LongTailed:
    """What is trained on, and what is scored.

    Parameters
    ----------
    train
        The training part with its tail.
    test
        The scored part.
    title
        Its name, with a word on the copy where that is not the original.
    """

    train: Examples
    test: Sealed
    title: str


class Decoded(Dataset[Any]):
    """Images that are decoded and resized when they are asked for.

    Parameters
    ----------
    images
        Of any sizes.
    size
        Height and width of what is given out.
    """

    def __init__(self, images: ImageSource, size: int) -> None:
        self._images, self._size = images, size

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> UInt8[Tensor, "3 S S"]:
        image = fit_to_size(self._images[position], (self._size, self._size))
        return torch.from_numpy(np.repeat(image, _COLOURS // len(image), axis=0))


def read_long_tailed(source: Source, data_dir: Path) -> LongTailed:
    """Read a data set and give its training part a tail, where it has none of its own.

    Only the images that are needed are decoded: at once where they fit into memory, and when they
    are asked for where they are files.

    Raises
    ------
    DataError
        If the data set is missing, in whole or in part, or damaged; the message names the file.
    """
    whole = read_named(source.data, data_dir)
    train, scored = whole.part("train"), whole.part(source.scored)
    if source.largest is not None:
        train = thinned(train, source.largest)
    examples = as_examples(train, source.size)
    test = as_examples(scored, source.size)
    if missing := sorted({*examples.classes} ^ {*test.classes}, key=str):
        raise DataError(
            f"{whole.source} has images of class {missing[0]!r} in only one of train and "
            f"{source.scored}; download it again"
        )
    sealed = Sealed(test, test.targets.numpy(), None, (len(examples.classes), 1))
    lossy = source.lossless and _is_jpeg(train.images)
    return LongTailed(examples, sealed, source.title + (" (JPEG)" if lossy else ""))


def thinned(train: ImageSet, largest: int) -> ImageSet:
    """The first images of each class, from ``largest`` down to a hundredth of it."""
    return train.rows(long_tailed_indices(codes_of(train), RATIO, n_max=largest))


def as_examples(images: ImageSet, size: int | None) -> Examples:
    """Pixels in memory, or of another size when they are asked for."""
    if size is None:
        return Examples.coded(torch.from_numpy(pixels(images.images)), images.targets)
    return Examples.coded(Decoded(images.images, size), images.targets)


def codes_of(images: ImageSet) -> Int[ndarray, "N"]:
    """Classes as codes in sorted order."""
    return np.unique(images.targets, return_inverse=True)[1]


def _is_jpeg(images: ImageSource) -> bool:
    """Whether images that were published without loss are JPEG copies."""
    parts = images.parts if isinstance(images, JoinedImages) else (images,)
    return any(
        isinstance(part, EncodedImages) and part.values[0].startswith(_JPEG) for part in parts
    )
