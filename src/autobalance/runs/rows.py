"""Rows with the columns that say what they are, of a table and of images alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray

from autobalance.data.images.image_set import ImageSet
from autobalance.data.tables import Table

ROW, IMAGE = "row", "image"


Content = Table | ImageSet
"""What a model looks at, a row an example."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples as they were read.

    Parameters
    ----------
    content
        N rows of features, or N images.
    target
        The class of each; its name is that of the column.
    groups
        The columns that make the groups; ``None`` without groups.
    split
        The part of each; ``None`` if there are no parts.
    noun
        What a row is: ``row`` or ``image``.
    """

    content: Content
    target: pd.Series[Any]
    groups: pd.DataFrame | None
    split: pd.Series[Any] | None
    noun: str = ROW

    @property
    def source(self) -> str:
        """Where they came from; named in errors."""
        return self.content.source

    def __len__(self) -> int:
        return len(self.content)

    def rows(self, selection: Int[ndarray, "M"] | Bool[ndarray, "N"]) -> Rows:
        """The rows at these positions, or where a mask is true."""
        return replace(
            self,
            content=self.content.rows(selection),
            target=self.target.iloc[selection].reset_index(drop=True),
            groups=None
            if self.groups is None
            else self.groups.iloc[selection].reset_index(drop=True),
            split=None if self.split is None else self.split.iloc[selection].reset_index(drop=True),
        )
