"""Lists of image files with their classes, as ImageNet-LT is published."""

from __future__ import annotations

import re
from pathlib import Path

from autobalance.data.images.image_set import ImageSet, as_objects, join_sets
from autobalance.data.images.sources import ImageFiles
from autobalance.errors import DataError

_LISTS = {
    "train": "ImageNet_LT_train.txt",
    "validation": "ImageNet_LT_val.txt",
    "test": "ImageNet_LT_test.txt",
}
_LINE = re.compile(r"(?P<image>.*\S)\s+(?P<label>[0-9]{1,9})")


def holds_imagenet_lt(folder: Path) -> bool:
    """Whether a folder holds any of the three lists."""
    return any((folder / name).is_file() for name in _LISTS.values())


def read_imagenet_lt(folder: Path) -> ImageSet:
    """Read ImageNet-LT: the three lists in a folder, and beside them the images of ImageNet.

    The lists name images by paths such as ``train/n01440764/n01440764_190.JPEG`` and
    ``val/n01440764/ILSVRC2012_val_00009111.JPEG``, which must lead to the images from ``folder``.
    Of each list the first image is looked for; another one that is missing is noticed when it is
    read. Targets are the class numbers of the lists, 0 to 999.

    Raises
    ------
    DataError
        If a list or its first image is missing, or a line is not a path and a number.
    """
    return join_sets(
        str(folder), [_read_list(folder / name, part) for part, name in _LISTS.items()]
    )


def _read_list(path: Path, part: str) -> ImageSet:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f"{path.parent} has no {path.name}; put it there beside the other lists"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "its text is not UTF-8"
        raise DataError(f"cannot read {path} ({reason}); download it again") from error
    images, targets = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        entry = _LINE.fullmatch(line.strip())
        if entry is None:
            raise DataError(
                f"line {number} of {path} is {line[:80]!r}, not the path of an image and the "
                "number of its class; download the list again"
            )
        images.append(str(path.parent / entry["image"]))
        targets.append(int(entry["label"]))
    if not images:
        raise DataError(f"{path} lists no image; download it again")
    require_image(images[0], path)
    return ImageSet(
        str(path), ImageFiles(images), as_objects(targets), None, as_objects([part] * len(images))
    )


def require_image(image: str, listed_in: Path) -> None:
    """Check that the first image that a list names is where it says.

    Raises
    ------
    DataError
        If it is not.
    """
    if not Path(image).is_file():
        raise DataError(
            f"{image}, the first image in {listed_in.name}, does not exist; put the images there "
            "(a link will do)"
        )
