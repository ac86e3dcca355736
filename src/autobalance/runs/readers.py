"""How a fitted model reads further rows: from a table, or from images."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy import ndarray

from autobalance.data.encoder import TableEncoder
from autobalance.data.images.encoder import ImageEncoder
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.sources import ImageFiles
from autobalance.data.images.unlabelled import read_unlabelled
from autobalance.data.tables import Table
from autobalance.errors import DataError
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.rows import Content, Rows


class Reader(ABC):
    """What was learnt from the training rows about reading others.

    Attributes
    ----------
    columns
        Which column was what at the fit.
    """

    columns: Columns | ImageColumns

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (D,) or (C, H, W)."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences that a user should know of the training rows."""
        return ()

    @property
    def one_vector(self) -> bool:
        """Whether all features are the components of one vector, and so share a unit."""
        return False

    @abstractmethod
    def read(self, path: Path, features: str | None = None) -> Content:
        """Read rows to predict, whose labels need not be known.

        ``features`` is the key of the feature array of an ``.npz`` file, if it has another name
        than at the fit.
        """

    def names(self, content: Any, path: Path) -> list[str] | None:
        """What tells the rows apart beside their order, if anything does."""
        return None

    @abstractmethod
    def read_labelled(
        self, path: Path, target: str | None = None, features: str | None = None
    ) -> Rows:
        """Read rows to evaluate on, with a target column of another name if one is given."""

    @abstractmethod
    def transform(self, content: Any) -> ndarray:
        """Rows that were read as the model takes them."""

    @abstractmethod
    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""


@dataclass(frozen=True)
class TableReader(Reader):
    """Reads tables."""

    columns: Columns
    encoder: TableEncoder

    @property
    def shape(self) -> tuple[int]:
        """(D,)."""
        return (len(self.encoder.feature_names),)

    @property
    def notes(self) -> Sequence[str]:
        """What was filled, pooled or left out."""
        return self.encoder.notes

    @property
    def one_vector(self) -> bool:
        """Whether all features are the components of one vector, and so share a unit."""
        return self.encoder.one_vector

    def read(self, path: Path, features: str | None = None) -> Table:
        """Read a table; neither target nor groups are needed."""
        return self.columns.read_again(path, self._single, features=features)

    def read_labelled(
        self, path: Path, target: str | None = None, features: str | None = None
    ) -> Rows:
        """Read a table with its target and groups, and its split if it has one."""
        columns = self.columns if target is None else replace(self.columns, target=target)
        table = columns.read_again(
            path,
            list(dict.fromkeys([columns.target, *columns.groups, *self._single])),
            () if columns.split is None else (columns.split,),
            features,
        )
        return (columns if columns.split in table.names else replace(columns, split=None)).rows(
            table
        )

    @property
    def _single(self) -> list[str]:
        """The columns of single values that the features come from."""
        return [name for name in self.encoder.inputs if name not in self.encoder.numeric.widths]

    def transform(self, content: Table) -> ndarray:
        """Features, shape (N, D)."""
        return self.encoder.transform(content)

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return {"encoder": self.encoder.to_state(), "columns": self.columns.to_state()}


@dataclass(frozen=True)
class ImageReader(Reader):
    """Reads images."""

    columns: ImageColumns
    encoder: ImageEncoder

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.encoder.shape

    def read(self, path: Path, features: str | None = None) -> ImageSet:
        """Read images; whether they have labels does not matter."""
        return read_unlabelled(_no_archive(path, features))

    def names(self, content: ImageSet, path: Path) -> list[str] | None:
        """The files, relative to the folder, if the images are files."""
        if not isinstance(content.images, ImageFiles):
            return None
        return [os.path.relpath(file, path) for file in content.images.paths]

    def read_labelled(
        self, path: Path, target: str | None = None, features: str | None = None
    ) -> Rows:
        """Read images with their labels, and their split if there is one."""
        columns = self.columns if target is None else replace(self.columns, target=target)
        return columns.read_again(_no_archive(path, features))

    def transform(self, content: ImageSet) -> ndarray:
        """Pixels, shape (N, C, H, W)."""
        return self.encoder.transform(content)

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return {
            "image_encoder": self.encoder.to_state(),
            "image_columns": self.columns.to_state(),
        }


def _no_archive(path: Path, features: str | None) -> Path:
    if features is not None:
        raise DataError(
            f"--features {features!r} names an array of features, but the model takes images; "
            "leave it out"
        )
    return path


def learn(columns: Columns | ImageColumns, content: Any) -> tuple[Reader, ndarray]:
    """A reader from training rows, and these as a model takes them."""
    if isinstance(columns, ImageColumns):
        encoder, pixels = ImageEncoder.fit(content, columns.size)
        return ImageReader(columns, encoder), pixels
    reader = TableReader(columns, TableEncoder.fit(columns.feature_table(content)))
    return reader, reader.transform(content)


def reader_from_state(state: Mapping[str, Any]) -> Reader:
    """Inverse of :meth:`Reader.to_state`.

    Raises
    ------
    ArtifactError, KeyError
        If the state is damaged, or lacks a part.
    """
    if "image_encoder" in state:
        images = ImageEncoder.from_state(state["image_encoder"])
        return ImageReader(ImageColumns.from_state(state["image_columns"]), images)
    encoder = TableEncoder.from_state(state["encoder"])
    return TableReader(Columns.from_state(state["columns"]), encoder)
