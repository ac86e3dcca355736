"""Where images come from: pixels in memory, or encoded bytes and files, decoded when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from autobalance.data.images.decoding import decode, fit_to_size
from autobalance.errors import DataError


@runtime_checkable
class ImageSource(Protocol):
    """A sequence of images."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, position: int) -> UInt8[ndarray, "C H W"]:
        """One image, RGB (C = 3) or grey (C = 1) as it is stored."""

    def rows(self, index: Int[ndarray, "M"]) -> ImageSource:
        """The images at these positions, in this order."""

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) if it is known, without decoding, to be that of every image."""


@runtime_checkable
class EncodedValues(Protocol):
    """A sequence of encoded images, such as a list of ``bytes``."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, position: int, /) -> bytes:
        """The bytes of one image; none are an image that is missing."""


@dataclass(frozen=True, eq=False)
class PixelArray:
    """Images in memory, of one shape.

    Raises
    ------
    DataError
        If the images have neither one channel nor three.
    """

    values: UInt8[ndarray, "N C H W"]

    def __post_init__(self) -> None:
        if self.values.shape[1] not in (1, 3):
            raise DataError(
                f"images of shape {self.values.shape[1:]} have {self.values.shape[1]} channels; "
                "give one channel (grey) or three (RGB), before height and width"
            )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, position: int) -> UInt8[ndarray, "C H W"]:
        image: UInt8[ndarray, "C H W"] = self.values[position]
        return image

    def rows(self, index: Int[ndarray, "M"]) -> PixelArray:
        """The images at these positions, copied."""
        return PixelArray(self.values[index])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        _, channels, height, width = self.values.shape
        return channels, height, width


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Encoded images, such as those of a Parquet column, each decoded when it is asked for.

    Parameters
    ----------
    values
        The bytes of each image.
    source
        Where they come from: errors name an image by it and by its number in ``values``, from 0.
    index
        Positions in ``values`` of the images, in order; all of them by default.
    """

    values: EncodedValues
    source: str = "the images"
    index: Int[ndarray, "M"] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.index is None else len(self.index)

    def __getitem__(self, position: int) -> UInt8[ndarray, "C H W"]:
        row = range(len(self.values))[position if self.index is None else int(self.index[position])]
        return decode(self.values[row], f"image {row} of {self.source}")

    def rows(self, index: Int[ndarray, "M"]) -> EncodedImages:
        """The images at these positions; no bytes are copied."""
        chosen = np.arange(len(self))[index] if self.index is None else self.index[index]
        return EncodedImages(self.values, self.source, chosen)

    @property
    def shape(self) -> None:
        """Not known without decoding."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images in files of their own, each read when it is asked for."""

    paths: Sequence[str | Path] = field(repr=False)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> UInt8[ndarray, "C H W"]:
        path = Path(self.paths[position])
        return decode(path, str(path))

    def rows(self, index: Int[ndarray, "M"]) -> ImageFiles:
        """The files at these positions."""
        return ImageFiles([self.paths[position] for position in index.tolist()])

    @property
    def shape(self) -> None:
        """Not known without decoding."""


def pixels(source: ImageSource, size: tuple[int, int] | None = None) -> UInt8[ndarray, "N C H W"]:
    """Decode all images into one array.

    Parameters
    ----------
    source
        N images, at least one. If only some are grey, all become RGB.
    size
        Height and width: images of another size are resized and cropped
        (:func:`~autobalance.data.images.decoding.fit_to_size`). Without it all must have one size.

    Raises
    ------
    DataError
        If there is no image, one is damaged, or their sizes differ and none is given.
    """
    if not len(source):
        raise DataError("there is no image to read; check the data set and the part of it")
    if size is not None and min(size) < 1:
        raise DataError(f"an image size of {size[0]} x {size[1]} is none; use 1 or more pixels")
    if isinstance(source, PixelArray) and size in (None, source.shape[1:]):
        return source.values
    first = source[0]
    expected = first.shape[1:] if size is None else size
    array = np.empty((len(source), len(first), *expected), dtype=np.uint8)
    for position in range(len(source)):
        image = source[position]
        if size is not None:
            image = fit_to_size(image, size)
        elif image.shape[1:] != expected:
            raise DataError(
                f"image {position} has {_text(image)} pixels but the first one has {_text(first)}; "
                "give an image size that all shall have"
            )
        if len(image) > array.shape[1]:
            array = np.repeat(array, 3, axis=1)
        array[position] = image
    return array


def _text(image: UInt8[ndarray, "C H W"]) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"
