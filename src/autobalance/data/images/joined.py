"""Several sources of images as one, such as the shards of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from autobalance.data.images.sources import ImageSource


@dataclass(frozen=True, eq=False)
class JoinedImages:
    """The images of several sources, one source after the other.

    Parameters
    ----------
    parts
        The sources.
    index
        Positions in all their images of those meant, in order; all of them by default.
    """

    parts: Sequence[ImageSource]
    index: Int[ndarray, "M"] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.parts)) if self.index is None else len(self.index)

    def __getitem__(self, position: int) -> UInt8[ndarray, "C H W"]:
        row = range(len(self))[position] if self.index is None else int(self.index[position])
        for part in self.parts:
            if row < len(part):
                return part[row]
            row -= len(part)
        raise IndexError(position)

    def rows(self, index: Int[ndarray, "M"]) -> JoinedImages:
        """The images at these positions."""
        chosen = np.arange(len(self))[index] if self.index is None else self.index[index]
        return JoinedImages(self.parts, chosen)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) if every source has the same."""
        shapes = {part.shape for part in self.parts}
        return shapes.pop() if len(shapes) == 1 else None


def join(parts: Sequence[ImageSource]) -> ImageSource:
    """The images of all the sources; the source itself if there is one."""
    return parts[0] if len(parts) == 1 else JoinedImages(tuple(parts))
