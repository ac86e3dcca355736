"""One column of categories as indicator features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from autobalance.data.values import Coded
from autobalance.labels import label_text

MAX_CATEGORIES = 50
"""Categories of one column that get a feature each; the rarer ones share one.

A linear model learns little from a category with few rows, and a thousand indicator columns cost
more than they tell.
"""


@dataclass(frozen=True)
class CategoricalColumn:
    """The categories of one column, known by their text.

    Text identifies them because pandas reads a column of 1, 2 and x as text in one file and, where
    the x does not occur, as numbers in the next.

    Parameters
    ----------
    name
        The column.
    categories
        Those with a feature of their own, sorted.
    pooled
        The rarer ones that share the feature ``other``, sorted; mostly none.
    missing
        Whether a value was missing in training, which is then a category of its own.
    """

    name: str
    categories: tuple[str, ...]
    pooled: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, column: pd.Series[Any], coded: Coded) -> CategoricalColumn:
        """Choose the features of a column from its distinct values."""
        counts = zip(np.bincount(coded.codes).tolist(), category_texts(coded), strict=True)
        by_frequency = sorted((-count, text) for count, text in counts if text is not None)
        texts = [text for _, text in by_frequency]
        return cls(
            str(column.name),
            tuple(sorted(texts[:MAX_CATEGORIES])),
            tuple(sorted(texts[MAX_CATEGORIES:])),
            None in coded.labels,
        )

    @property
    def feature_names(self) -> list[str]:
        """One name a feature, such as ``sex=Male``."""
        extra = ["other"] * bool(self.pooled) + ["missing"] * self.missing
        return [f"{self.name}={text}" for text in (*self.categories, *extra)]

    @property
    def places(self) -> dict[str | None, int]:
        """Which feature each known category sets; ``None`` is a missing value."""
        place: dict[str | None, int] = {text: j for j, text in enumerate(self.categories)}
        place.update(dict.fromkeys(self.pooled, self.place_of_unseen))
        if self.missing:
            place[None] = len(self.feature_names) - 1
        return place

    @property
    def place_of_unseen(self) -> int:
        """The feature that other categories set, or -1 for none."""
        return len(self.categories) if self.pooled else -1

    def mark(self, coded: Coded, indicators: Float[ndarray, "N P"]) -> list[str]:
        """Set the indicator of each row's category, and say which training did not see.

        An unseen category counts as ``other`` if rare categories share a feature, and otherwise
        sets none; so does a missing value if none was missing in training.

        Parameters
        ----------
        coded
            The categories of N rows.
        indicators
            Where to set them; all 0.
        """
        place, unseen = self.places, self.place_of_unseen
        texts = category_texts(coded)
        places = np.array([place.get(text, unseen) for text in texts], dtype=np.int64)[coded.codes]
        known = np.flatnonzero(places >= 0)
        indicators[known, places[known]] = 1
        return [label_text(text) for text in texts if text not in place]


def category_texts(coded: Coded) -> Sequence[str | None]:
    """The texts by which categories are known, ``None`` for a missing value."""
    return [None if label is None else label_text(label) for label in coded.labels]
