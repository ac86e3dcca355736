"""Folders of image files: one folder a class, or a ``metadata.csv`` that names the classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autobalance.data.images.columns import read_columns, read_csv
from autobalance.data.images.decoding import SUFFIXES
from autobalance.data.images.image_set import ImageSet, as_objects, join_sets
from autobalance.data.images.sources import ImageFiles
from autobalance.data.splits import part_of_word
from autobalance.errors import DataError

METADATA = "metadata.csv"
_FILE_NAME = "file_name"
_WATERBIRDS_FILE_NAME = "img_filename"


def read_folder(
    root: Path, target: str | None = None, groups: Sequence[str] = (), split: str | None = None
) -> ImageSet:
    """Read a folder of images.

    Either every class has a folder with its images, at any depth, or a ``metadata.csv`` has the
    column ``file_name`` (relative to its own folder), or ``img_filename`` as that of Waterbirds,
    and those of the labels, as the Hub's ImageFolder reads it. If all folders in ``root`` are named
    after parts, such as ``train`` and ``val``, each of them is such a folder and its images are
    that part.

    Parameters
    ----------
    root
        The folder.
    target, groups, split
        Columns of ``metadata.csv``, as in :func:`~autobalance.data.images.columns.read_columns`.

    Raises
    ------
    DataError
        If there is no image, columns are named but there is no ``metadata.csv``, it does not name
        the files, or its columns are refused.
    """
    if not root.is_dir():
        raise DataError(f"{root} does not exist or is not a folder; check the path")
    folders = _folders(root)
    parts = [part_of_word(folder.name) for folder in folders]
    if (root / METADATA).is_file() or not folders or None in parts:
        return _from_metadata_or_classes(root, target, groups, split)
    sets = []
    for folder, part in zip(folders, parts, strict=True):
        found = _from_metadata_or_classes(folder, target, groups, split)
        named = split is not None and found.split is not None
        sets.append(found if named else replace(found, split=as_objects([part] * len(found))))
    return join_sets(str(root), sets)


def holds_image_files(root: Path) -> bool:
    """Whether a folder holds images down to the class folders of its parts, or ``metadata.csv``."""
    level = [root]
    for _ in range(3):
        if any(_image_in(folder) for folder in level):
            return True
        level = [inner for folder in level for inner in _folders(folder)]
    return False


def image_files(folder: Path) -> Iterator[str]:
    """Paths of the images in a folder, at any depth, in the order of their names."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if _is_image(name):
                yield os.path.join(place, name)


def _from_metadata_or_classes(
    folder: Path, target: str | None, groups: Sequence[str], split: str | None
) -> ImageSet:
    if (folder / METADATA).is_file():
        return _from_metadata(folder, target, groups, split)
    for option, column in [
        ("target", target),
        *(("groups", name) for name in groups),
        ("split", split),
    ]:
        if column is not None:
            raise DataError(
                f"{folder} has no {METADATA} with a column {column!r}; add one, or leave "
                f"--{option} out: the folders then name the classes"
            )
    return _from_classes(folder)


def _from_classes(root: Path) -> ImageSet:
    paths: list[str] = []
    targets: list[str] = []
    for folder in _folders(root):
        found = list(image_files(folder))
        paths += found
        targets += [folder.name] * len(found)
    if not paths:
        raise DataError(
            f"{root} has no folders with images; put the images of each class into a folder named "
            f"after it, or add a {METADATA} with the columns {_FILE_NAME} and label"
        )
    return ImageSet(str(root), ImageFiles(paths), as_objects(targets))


def _from_metadata(
    folder: Path, target: str | None, groups: Sequence[str], split: str | None
) -> ImageSet:
    table = read_csv(folder / METADATA)
    waterbirds = _FILE_NAME not in table.names and _WATERBIRDS_FILE_NAME in table.names
    column = _WATERBIRDS_FILE_NAME if waterbirds else _FILE_NAME
    names = table.column(column)
    if names.isna().any():
        raise DataError(
            f"column {column!r} of {table.source} has an empty cell; fill it in or remove the row"
        )
    labels = read_columns(table.without([column]), target, groups, split)
    paths = [os.path.join(folder, str(name)) for name in names]
    return ImageSet(str(folder), ImageFiles(paths), *labels)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _image_in(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_image(entry.name) or entry.name == METADATA for entry in entries)


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    """Whether it is a file of some program, such as ``.ipynb_checkpoints``."""
    return name.startswith(".") or name == "__MACOSX"
