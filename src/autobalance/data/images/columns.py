"""The target, group and split columns that come with images, as one label an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from autobalance.data.images.image_set import as_objects
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError
from autobalance.labels import Label
from autobalance.optional import need

if TYPE_CHECKING:
    import pandas as pd

    from autobalance.data.tables import Table

TARGETS = ("label", "labels", "fine_label", "target", "class", "y")
"""Names of the column that is the target where none is named, the first one that is there."""
GROUP, SPLIT = "group", "split"
"""Names of the columns that give groups and parts where none are named."""


class Labels(NamedTuple):
    """What the columns say of each image."""

    targets: Shaped[ndarray, "N"]
    groups: Shaped[ndarray, "N"] | None
    split: Shaped[ndarray, "N"] | None


def read_columns(
    table: Table, target: str | None, groups: Sequence[str], split: str | None
) -> Labels:
    """Read the labels from a table with a row for each image.

    Parameters
    ----------
    table
        The columns, without the images.
    target
        The column of class labels: by default the first of :data:`TARGETS` that is there.
    groups
        The columns of groups, whose combinations are the groups if there are several: by default
        ``group`` if it is there.
    split
        The column that says to which part an image belongs: by default ``split`` if it is there.

    Raises
    ------
    DataError
        If a named column is missing, no column can be the target, or an image has no class or an
        unknown part.
    """
    from autobalance.data.targets import split_rows

    if target is None:
        target = next((name for name in TARGETS if name in table.names), None)
    if target is None:
        raise DataError(
            f"{table.source} has no column named {' or '.join(TARGETS)}; name the target with "
            f"--target: it has {listing(table.names)}"
        )
    targets = _labels(table.column(target))
    missing = sum(label is None for label in targets)
    if missing:
        raise DataError(
            f"target column {target!r} of {table.source} has no value in {amount(missing, 'row')}; "
            "fill them in or leave these rows out"
        )
    chosen = list(groups) or [GROUP] * (GROUP in table.names)
    columns = [_labels(table.column(name)) for name in chosen]
    combined = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    if split is None and SPLIT in table.names:
        split = SPLIT
    parts = np.empty(len(table), dtype=object)
    if split is not None:
        for part, rows in split_rows(table.column(split), to_train=False).items():
            parts[rows] = part
    return Labels(
        as_objects(targets),
        as_objects(combined) if columns else None,
        parts if split is not None else None,
    )


def read_csv(path: Path) -> Table:
    """The table of a CSV file beside images; raises as ``read_table`` does."""
    need("pandas", "cli", f"reading {path}")
    from autobalance.data.tables import read_table

    return read_table(path)


def _labels(column: pd.Series[Any]) -> list[Label]:
    from autobalance.data.values import distinct_values

    codes, labels = distinct_values(column)
    return [labels[code] for code in codes.tolist()]
