"""Training images beside what the policy makes of them, kept for the report."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy import ndarray

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.augmentation.wording import Cell, cells_by_count, entries
from autobalance.counts import Counts
from autobalance.errors import ArtifactError
from autobalance.optional import need
from autobalance.runs.examples import Examples
from autobalance.storage import read_json, read_text, write_text_atomically

AUGMENTATION_FILE = "augmentation.json"
FORMAT = "autobalance-augmentation"
VERSION = 1

_MOST_ENTRIES = 4
_IMAGES = 8
_DRAWS = 2
_LARGEST_SIDE = 96
_COLOURS = 3


@dataclass(frozen=True, eq=False)
class Strips:
    """Some images of a cell, and of those that get the same, before and after.

    Parameters
    ----------
    cell
        Codes of class and group.
    before, after
        The images side by side, and below each other two draws of each, as bytes of PNG files.
    images
        How many.
    side
        Width and height of one in pixels of the strips, which may be fewer than its own.
    """

    cell: Cell
    before: bytes
    after: bytes
    images: int
    side: tuple[int, int]

    def to_plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "cell": list(self.cell),
            "images": self.images,
            "width": self.side[0],
            "height": self.side[1],
            **{
                name: base64.b64encode(getattr(self, name)).decode("ascii")
                for name in ("before", "after")
            },
        }


@dataclass(frozen=True, eq=False)
class Augmented:
    """A policy and what it does to training examples, as a run folder holds it.

    Parameters
    ----------
    policy
        Of the designed loss, kept or not.
    strips
        At most four; none for vectors.
    """

    policy: Policy
    strips: tuple[Strips, ...]

    def to_plain(self) -> dict[str, Any]:
        """What ``augmentation.json`` holds."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "policy": self.policy.to_plain(),
            "strips": [each.to_plain() for each in self.strips],
        }

    def write(self, folder: Path) -> None:
        """Write ``augmentation.json``; raises ``ArtifactError`` if that cannot be done."""
        write_text_atomically(folder / AUGMENTATION_FILE, json.dumps(self.to_plain()) + "\n")


def read_augmented(folder: Path) -> dict[str, Any] | None:
    """The parsed ``augmentation.json`` of a run, or ``None`` if it has none.

    Raises
    ------
    ArtifactError
        If it cannot be read, is another document or newer than this version.
    """
    path = folder / AUGMENTATION_FILE
    if not path.exists():
        return None
    text = read_text(path, ArtifactError, "restore it or run the fit again")
    return read_json(text, str(path), FORMAT, VERSION, ArtifactError)


def show_augmented(policy: Policy, counts: Counts, examples: Examples, seed: int = 0) -> Augmented:
    """Augment some training images as training did, by draws of their own.

    Cells that get the same share a strip; where more than four differ, the most frequent, a middle
    and the rarest one are shown.

    Parameters
    ----------
    policy
        Of the designed loss.
    counts
        Of the examples.
    examples
        That were trained on.
    seed
        Of the draws.
    """
    if examples.features.ndim == 2:
        return Augmented(policy, ())
    augment = PolicyAugmentation(policy)
    draws = torch.Generator().manual_seed(seed)
    cell = examples.y * counts.n_groups + examples.g
    strips = []
    for chosen in _chosen(policy, counts):
        codes = [k * counts.n_groups + j for k, j in chosen]
        rows = _spread(np.flatnonzero(np.isin(cell, codes)), cell)
        images = np.ascontiguousarray(examples.features[rows])
        before = torch.from_numpy(images)
        codes_of = torch.from_numpy(examples.y[rows]), torch.from_numpy(examples.g[rows])
        after = [augment(before, *codes_of, draws).numpy() for _ in range(_DRAWS)]
        height, width = images.shape[2:]
        scale = min(1.0, _LARGEST_SIDE / max(height, width))
        side = max(1, round(width * scale)), max(1, round(height * scale))
        strips.append(
            Strips(chosen[0], _strip([images], side), _strip(after, side), len(rows), side)
        )
    return Augmented(policy, tuple(strips))


def _chosen(policy: Policy, counts: Counts) -> list[tuple[Cell, ...]]:
    """The cells of each strip."""
    told = entries(policy, counts)
    if len(told) <= _MOST_ENTRIES:
        return [each.cells for each in told]
    cells = cells_by_count(counts)
    return [(cells[0],), (cells[len(cells) // 2],), (cells[-1],)]


def _spread(rows: Integer[ndarray, "M"], cell: Integer[ndarray, "N"]) -> Integer[ndarray, "m"]:
    """A few of the rows, from all over their cells."""
    rows = rows[np.argsort(cell[rows], kind="stable")]
    places = np.linspace(0, len(rows) - 1, min(_IMAGES, len(rows))).round().astype(np.int64)
    return np.asarray(rows[places])


def _strip(rows: Sequence[UInt8[ndarray, "N C H W"]], side: tuple[int, int]) -> bytes:
    """Images side by side in a PNG file, a row below the other, with transparent gaps.

    Colour is taken from the first three channels, or from the first alone.
    """
    pillow = need("PIL.Image", "vision", "drawing images")
    gap = max(1, max(side) // 12)
    pitch = side[0] + gap, side[1] + gap
    size = len(rows[0]) * pitch[0] - gap, len(rows) * pitch[1] - gap
    strip = pillow.new("RGBA", size, (0, 0, 0, 0))
    for top, images in enumerate(rows):
        for left, each in enumerate(images):
            colour = each[:_COLOURS] if len(each) >= _COLOURS else np.repeat(each[:1], 3, axis=0)
            picture = pillow.fromarray(np.ascontiguousarray(colour.transpose(1, 2, 0)))
            picture = picture.resize(side, pillow.Resampling.LANCZOS)
            strip.paste(picture, (left * pitch[0], top * pitch[1]))
    stream = io.BytesIO()
    strip.save(stream, "PNG", optimize=True)
    return stream.getvalue()
