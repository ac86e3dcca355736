"""Waterbirds: birds on backgrounds where they mostly, but not always, live."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jaxtyping import Shaped
from numpy import ndarray

from autobalance.data.images.columns import read_columns, read_csv
from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.lists import require_image
from autobalance.data.images.parquet import read_shards, shards
from autobalance.data.images.sources import ImageFiles
from autobalance.errors import DataError
from autobalance.labels import label_text

BIRDS = {0: "landbird", 1: "waterbird"}
PLACES = {0: "land", 1: "water"}
_METADATA = "metadata.csv"
_INNER = ("", "waterbird_complete95_forest2water2", "waterbirds_v1.0")
"""Where the file lies: in the folder itself, or as the archives of its authors or WILDS unpack."""


def holds_waterbirds(folder: Path) -> bool:
    """Whether a folder holds ``metadata.csv``, in it or unpacked from an archive, or Parquet."""
    return _metadata(folder) is not None or bool(shards(folder))


def read_waterbirds(folder: Path) -> ImageSet:
    """Read Waterbirds from its ``metadata.csv`` and images, or from Parquet with the same columns.

    The columns are ``img_filename``, ``y`` (1 is a waterbird), ``place`` (1 is water) and
    ``split`` (0, 1 and 2). Targets are the birds and groups the places, by name.

    Raises
    ------
    DataError
        If neither is there, the first image is missing, or a column is missing or holds anything
        else.
    """
    path = _metadata(folder)
    if path is None:
        found = read_shards(folder, "y", ["place"], "split")
    else:
        table = read_csv(path)
        names = [str(name) for name in table.column("img_filename")]
        images = [os.path.join(path.parent, name) for name in names]
        require_image(images[0], path)
        labels = read_columns(table, "y", ["place"], "split")
        found = ImageSet(str(path.parent), ImageFiles(images), *labels)
    assert found.groups is not None  # column place was asked for
    return replace(
        found,
        targets=_named(found.source, "y", found.targets, BIRDS),
        groups=_named(found.source, "place", found.groups, PLACES),
    )


def _named(
    source: str, column: str, codes: Shaped[ndarray, "N"], names: Mapping[int, str]
) -> Shaped[ndarray, "N"]:
    for code in codes:
        if code not in names:
            raise DataError(
                f"column {column!r} of {source} holds {label_text(code)!r} where Waterbirds has 0 "
                "and 1; download the data set again"
            )
    return as_objects([names[code] for code in codes])


def _metadata(folder: Path) -> Path | None:
    places = (folder / inner / _METADATA for inner in _INNER)
    return next((path for path in places if path.is_file()), None)
