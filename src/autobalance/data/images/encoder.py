"""From a set of images to an array of pixels, the same way at fit and at predict time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.sources import pixels
from autobalance.errors import ArtifactError, DataError
from autobalance.storage import DAMAGED

MOST_BYTES = 4 * 2**30
"""Decoded images that are held in memory at most, so that a large set does not stop the machine."""


@dataclass(frozen=True)
class ImageEncoder:
    """Decodes images into the shape that a network was trained on.

    Parameters
    ----------
    channels, height, width
        Of every image.
    resize
        Whether images of another size are brought to this one. Otherwise they are refused.
    """

    channels: int
    height: int
    width: int
    resize: bool = False

    @classmethod
    def fit(
        cls, images: ImageSet, size: int | None = None
    ) -> tuple[ImageEncoder, UInt8[ndarray, "N C H W"]]:
        """Learn the shape of the training images, and decode them, which takes a while, once.

        Parameters
        ----------
        images
            The training images. If some are grey and others in colour, all become colour images.
        size
            Height and width to resize them to; by default all must have one size.

        Raises
        ------
        DataError
            If they are too many for the memory, one is damaged, or their sizes differ and none is
            given.
        """
        array = _decoded(images, None if size is None else (size, size))
        channels, height, width = array.shape[1:]
        return cls(channels, height, width, size is not None), array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    def transform(self, images: ImageSet) -> UInt8[ndarray, "N C H W"]:
        """The pixels of further images.

        Raises
        ------
        DataError
            If they are too many for the memory, one is damaged, or they have another size than the
            training images, which were not resized, or colours although those had none.
        """
        array = _decoded(images, (self.height, self.width) if self.resize else None)
        if array.shape[1] == 1 < self.channels:
            array = array.repeat(self.channels, axis=1)
        if array.shape[1:] != self.shape:
            raise DataError(
                f"{images.source} has images of {shape_text(array.shape[1:])} but the model is "
                f"fitted on images of {shape_text(self.shape)}; bring them to one size, or fit "
                "with --image-size, which resizes all"
            )
        return array

    def to_state(self) -> dict[str, Any]:
        """The encoder as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImageEncoder:
        """Inverse of :meth:`to_state`, also after a passage through JSON.

        Raises
        ------
        ArtifactError
            If the state is damaged.
        """
        try:
            channels, height, width = (int(state[name]) for name in ("channels", "height", "width"))
            if channels not in (1, 3) or min(height, width) < 1:
                raise ValueError(f"no image has the shape {channels, height, width}")
            return cls(channels, height, width, bool(state["resize"]))
        except DAMAGED as error:
            raise ArtifactError(
                f"the saved image encoder is damaged ({error!s}); fit the model again"
            ) from error


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as people read it, such as ``3 × 64 × 64``."""
    return " × ".join(map(str, shape))


def _decoded(images: ImageSet, size: tuple[int, int] | None) -> UInt8[ndarray, "N C H W"]:
    if not len(images):
        raise DataError(f"{images.source} has no image; check the data set and the part of it")
    shape = images.images.shape or images.images[0].shape
    needed = len(images) * math.prod((shape[0], *(size or shape[1:])))
    if needed > MOST_BYTES:
        raise DataError(
            f"{len(images):,} images of {shape_text((shape[0], *(size or shape[1:])))} take "
            f"{needed / 2**30:.1f} GiB of memory, above the {MOST_BYTES / 2**30:.0f} GiB that fit "
            "holds; lower --image-size, or call search_and_retrain with a torch Dataset"
        )
    return pixels(images.images, size)
