"""A data set of images: the images, and the class, group and part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from autobalance.data.images.joined import join
from autobalance.data.images.sources import ImageSource
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels.

    Parameters
    ----------
    source
        Where they came from; named in errors.
    images
        N images.
    targets
        The class label of each, text or a whole number.
    groups
        The group label of each, a tuple if several columns make the groups; ``None`` without
        groups.
    split
        ``"train"``, ``"validation"`` or ``"test"`` for each; ``None`` if the data set is not
        divided.

    Raises
    ------
    DataError
        If there is not one label an image.
    """

    source: str
    images: ImageSource
    targets: Shaped[ndarray, "N"]
    groups: Shaped[ndarray, "N"] | None = None
    split: Shaped[ndarray, "N"] | None = None

    def __post_init__(self) -> None:
        for name in ("targets", "groups", "split"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.images):
                raise DataError(
                    f"{self.source} has {amount(len(self.images), 'image')} but "
                    f"{len(values):,} {name}; give one for each image"
                )

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, index: Int[ndarray, "M"] | Bool[ndarray, "N"]) -> ImageSet:
        """The images at these positions, or where a mask is true."""
        positions = np.flatnonzero(index) if index.dtype == bool else index
        return replace(
            self,
            images=self.images.rows(positions),
            targets=self.targets[positions],
            groups=None if self.groups is None else self.groups[positions],
            split=None if self.split is None else self.split[positions],
        )

    def part(self, name: str) -> ImageSet:
        """The images of one part, ``"train"``, ``"validation"`` or ``"test"``.

        Raises
        ------
        DataError
            If the data set is not divided, or has no such part.
        """
        if self.split is None:
            raise DataError(f"{self.source} is not divided into parts, so it has no part {name!r}")
        rows = np.flatnonzero(self.split == name)
        if not len(rows):
            parts = listing(dict.fromkeys(self.split.tolist()).keys())
            raise DataError(f"{self.source} has no part {name!r}; it has {parts}")
        return self.rows(rows)


def as_objects(values: Sequence[Any]) -> Shaped[ndarray, "N"]:
    """Labels as an array of Python objects, where a tuple stays one label."""
    return np.fromiter(values, dtype=object, count=len(values))


def join_sets(source: str, parts: Sequence[ImageSet]) -> ImageSet:
    """One data set of several that all have groups or none, and parts or none."""
    return ImageSet(
        source,
        join([part.images for part in parts]),
        np.concatenate([part.targets for part in parts]),
        _joined(source, "groups", [part.groups for part in parts]),
        _joined(source, "parts", [part.split for part in parts]),
    )


def _joined(source: str, noun: str, columns: list[ndarray | None]) -> Shaped[ndarray, "N"] | None:
    given = [column for column in columns if column is not None]
    if given and len(given) < len(columns):
        raise DataError(f"only some files of {source} name {noun}; name them in all or in none")
    return np.concatenate(given) if given else None
