"""iNaturalist 2018: photographs of species, listed in JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autobalance.data.images.image_set import ImageSet, as_objects, join_sets
from autobalance.data.images.lists import require_image
from autobalance.data.images.sources import ImageFiles
from autobalance.data.wording import amount
from autobalance.errors import DataError

_FILES = {"train": "train2018.json", "validation": "val2018.json"}


def holds_inaturalist(folder: Path) -> bool:
    """Whether a folder holds either of the JSON files."""
    return any((folder / name).is_file() for name in _FILES.values())


def read_inaturalist(folder: Path) -> ImageSet:
    """Read iNaturalist 2018: ``train2018.json``, ``val2018.json`` and the images they name.

    The files name images by paths such as ``train_val2018/Plantae/7477/….jpg``, which must lead to
    the images from ``folder``. Of each file the first image is looked for; another one that is
    missing is noticed when it is read. Targets are the ids of the categories, 0 to 8,141: their
    names are not always published and not always distinct. The validation images are those that
    papers report as test; the labels of the official test images are not public.

    Raises
    ------
    DataError
        If a file or its first image is missing, a file is damaged, or an image has not one
        category.
    """
    return join_sets(
        str(folder), [_read_json(folder / name, part) for part, name in _FILES.items()]
    )


def _read_json(path: Path, part: str) -> ImageSet:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path.parent} has no {path.name}; put it there beside the images"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path} ({reason}); download it again") from error
    try:
        files = {image["id"]: str(image["file_name"]) for image in document["images"]}
        categories = {category["id"] for category in document["categories"]}
        annotations = [
            (entry["image_id"], entry["category_id"]) for entry in document["annotations"]
        ]
        _refuse_inconsistent(path, files, categories, annotations)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} has no lists of images, annotations and categories with their ids "
            f"({type(error).__name__}: {error}); download it again"
        ) from error
    images = [str(path.parent / files[image]) for image, _ in annotations]
    require_image(images[0], path)
    targets = as_objects([category for _, category in annotations])
    return ImageSet(str(path), ImageFiles(images), targets, None, as_objects([part] * len(images)))


def _refuse_inconsistent(
    path: Path, files: dict[Any, str], categories: set[Any], annotations: list[tuple[Any, Any]]
) -> None:
    for image, category in annotations:
        if image not in files or category not in categories:
            raise DataError(
                f"{path} has an annotation of image {image} with category {category}, which it "
                "does not list; download it again"
            )
    distinct = len({image for image, _ in annotations})
    if not files or not len(files) == len(annotations) == distinct:
        raise DataError(
            f"{path} lists {amount(len(files), 'image')} and "
            f"{amount(len(annotations), 'annotation')} of {amount(distinct, 'image')}; each image "
            "needs one, so download it again"
        )
