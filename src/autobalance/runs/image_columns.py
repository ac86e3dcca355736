"""What is asked of a set of images: which columns beside them play which role, and their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from autobalance.data.images.columns import read_csv
from autobalance.data.images.folder import METADATA
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.parquet import has_image_column, shards
from autobalance.data.images.read import read_images
from autobalance.errors import ArtifactError
from autobalance.optional import need
from autobalance.runs.columns import refuse_two_roles, text, text_or_none
from autobalance.runs.rows import IMAGE, Rows
from autobalance.storage import DAMAGED

_CLASS, _SPLIT = "class", "split"


@dataclass(frozen=True)
class ImageColumns:
    """The roles of the columns of a Parquet file or of a folder's ``metadata.csv``.

    Parameters
    ----------
    target
        Holds the classes. Folders named after the classes need none.
    groups
        Hold the groups. As in tables, no column is one that is not named.
    split
        Holds train, validation and test. Folders of these names, and a column named ``split``,
        need none.
    size
        Height and width that the images get; ``None`` leaves them as they are.

    Raises
    ------
    DataError
        If a column has two roles.
    """

    target: str | None = None
    groups: tuple[str, ...] = ()
    split: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        refuse_two_roles(self.target, self.groups, self.split)

    def read_to_fit(self, path: Path) -> Rows:
        """Read what is said of the images at ``path``; they are decoded later.

        Raises
        ------
        DataError
            If they cannot be read or a column is missing.
        """
        return self.rows(read_images(path, self.target, self.groups, self.split))

    def read_again(self, path: Path) -> Rows:
        """The same for further images, which need not have the split column.

        Raises
        ------
        DataError
            As in :meth:`read_to_fit`.
        """
        names = _names_beside(path)
        missing = names is not None and self.split not in names
        return (replace(self, split=None) if missing else self).read_to_fit(path)

    def rows(self, images: ImageSet) -> Rows:
        """The images, with the columns that say what they are."""
        return Rows(
            images,
            pd.Series(images.targets, name=self.target or _CLASS),
            self._groups(images),
            None if images.split is None else pd.Series(images.split, name=self.split or _SPLIT),
            IMAGE,
        )

    def _groups(self, images: ImageSet) -> pd.DataFrame | None:
        """A column for each part of a label."""
        if images.groups is None or not self.groups:
            return None
        labels = images.groups.tolist()
        if len(self.groups) == 1:
            return pd.DataFrame({self.groups[0]: labels})
        return pd.DataFrame(labels, columns=list(self.groups))

    def settings(self) -> dict[str, Any]:
        """As a report lists them."""
        return {
            **({} if self.target is None else {"target": self.target}),
            "groups": list(self.groups),
            "split column": self.split,
            "image size": "as they are" if self.size is None else f"{self.size} × {self.size}",
        }

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImageColumns:
        """Inverse of :meth:`to_state`, also after a passage through JSON.

        Raises
        ------
        ArtifactError
            If the state is damaged.
        """
        try:
            size = state["size"]
            return cls(
                text_or_none(state["target"]),
                tuple(text(name) for name in state["groups"]),
                text_or_none(state["split"]),
                None if size is None else int(size),
            )
        except DAMAGED as error:
            raise ArtifactError(
                f"the saved column names are damaged ({error!s}); fit the model again"
            ) from error


def _names_beside(path: Path) -> list[str] | None:
    """Names of the columns beside images, or ``None`` if no single file tells them."""
    tables = shards(path) if path.is_dir() else [path]
    if tables and has_image_column(tables[0]):
        return list(need("pyarrow.parquet", "cli", f"reading {path}").read_schema(tables[0]).names)
    metadata = path / METADATA
    return list(read_csv(metadata).names) if metadata.is_file() else None
