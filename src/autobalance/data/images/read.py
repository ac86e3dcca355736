"""A user's images, in whatever form they lie there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autobalance.data.images.access import reading
from autobalance.data.images.folder import holds_image_files, read_folder
from autobalance.data.images.idx import holds_idx, read_mnist
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.parquet import has_image_column, read_parquet, read_shards, shards
from autobalance.errors import DataError

_PARQUET = ".parquet"


def read_images(
    path: Path, target: str | None = None, groups: Sequence[str] = (), split: str | None = None
) -> ImageSet:
    """Read a user's images.

    Parameters
    ----------
    path
        A Parquet file with a column of images; or a folder with such files, with the four IDX files
        of the MNIST family, or with image files.
    target, groups, split
        Columns of the Parquet files or of ``metadata.csv``; by default as
        :func:`~autobalance.data.images.columns.read_columns` finds them.

    Raises
    ------
    DataError
        If nothing there can be read as images, columns are named where there are none, or what is
        there is damaged.
    """
    with reading(path):
        if path.suffix.lower() == _PARQUET and not path.is_dir():
            return read_parquet(path, target, groups, split)
        if not path.is_dir():
            problem = (
                "is neither a folder nor a Parquet file" if path.exists() else "does not exist"
            )
            raise DataError(f"{path} {problem}; give a folder of images or a .parquet file")
        if shards(path):
            return read_shards(path, target, groups, split)
        if not holds_idx(path):
            return read_folder(path, target, groups, split)
    named = [column for column in (target, *groups, split) if column is not None]
    if named:
        raise DataError(
            f"{path} holds IDX files, which have no column {named[0]!r}; leave --target, --group "
            "and --split out"
        )
    return read_mnist(path)


def holds_images(path: Path) -> bool:
    """Whether :func:`read_images` would find images: by names and one schema, nothing is decoded.

    A table that holds no image column, a folder without images and a path that does not exist are
    none.
    """
    try:
        if path.is_file():
            return path.suffix.lower() == _PARQUET and has_image_column(path)
        if not path.is_dir():
            return False
        tables = shards(path)
        if tables:
            return has_image_column(tables[0])
        return holds_idx(path) or holds_image_files(path)
    except OSError:
        return False
