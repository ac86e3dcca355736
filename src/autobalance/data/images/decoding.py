"""From the bytes of one image to its pixels, and to another size."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from autobalance.errors import DataError
from autobalance.optional import need

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
"""Files with these suffixes, in any case, are images."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "JPEG2000", "PPM", "TIFF", "WEBP")
"""Pillow would also hand PostScript to Ghostscript, which runs it."""
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode(image: bytes | Path, name: str) -> UInt8[ndarray, "C H W"]:
    """Decode one image into one channel if it is stored in 8-bit grey, and into three otherwise.

    Palettes, transparency (which is dropped), CMYK and 16 bits (of which the upper 8 stay) become
    8-bit RGB. Of an animation it is the first picture, and an orientation in EXIF data is not
    applied: both are what the usual readers of benchmarks do.

    Parameters
    ----------
    image
        The encoded image, or its file.
    name
        How errors name the image.

    Raises
    ------
    DataError
        If Pillow is not installed, the file does not exist, or it is damaged, of an unknown format
        or in floating point.
    """
    pillow = need("PIL.Image", "vision", "decoding images")
    try:
        with pillow.open(
            io.BytesIO(image) if isinstance(image, bytes) else image, formats=_FORMATS
        ) as opened:
            pixels = _channels_last(opened)
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist; restore the file or leave it out") from error
    except Exception as error:  # a decoder may fail in any way on damaged bytes
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        if isinstance(error, pillow.UnidentifiedImageError):
            reason = "its format is unknown"
        raise DataError(
            f"{name} is not a readable image ({reason}); restore it or leave it out"
        ) from error
    if pixels is None:
        raise DataError(f"{name} holds floating-point pixels; save it with 8 bits a channel")
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _channels_last(image: Any) -> UInt8[ndarray, "H W C"] | None:
    if image.mode == "F":
        return None
    if image.mode in _DEEP:  # Pillow would clip instead of scale
        upper = np.clip(np.asarray(image), 0, 2**16 - 1).astype(np.uint16) >> 8
        return np.repeat(upper.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.asarray(image.convert("L"))[..., None]
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def fit_to_size(
    image: UInt8[ndarray, "C H W"], size: tuple[int, int]
) -> UInt8[ndarray, "C {size[0]} {size[1]}"]:
    """The middle of the image at another height and width, without distortion.

    The side that is short for the new shape is resized (bilinear, over as many pixels as shrink
    into one) and the other one cropped evenly.
    """
    if image.shape[1:] == size:
        return image
    pillow = need("PIL.Image", "vision", "resizing images")
    operations = need("PIL.ImageOps", "vision", "resizing images")
    planes = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    fitted = operations.fit(
        pillow.fromarray(np.ascontiguousarray(planes)), size[::-1], pillow.Resampling.BILINEAR
    )
    return np.ascontiguousarray(np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1))
