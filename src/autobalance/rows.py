"""Rows of figures, as tables and trackers of a search's course hold them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.labels import label_text
from autobalance.storage import write_text_atomically

Row = dict[str, int | float]


def cell_names(what: str, counts: Counts) -> list[str]:
    """A name for each cell, such as ``risk[cat|land]``; without groups the group is ``all``."""
    groups = ("all",) if counts.groups is None else tuple(map(label_text, counts.groups))
    return [f"{what}[{label_text(label)}|{group}]" for label in counts.classes for group in groups]


def by_cell(what: str, values: Float[ndarray, "K G"], counts: Counts) -> Row:
    """A figure of each cell under its name."""
    return dict(zip(cell_names(what, counts), values.ravel().tolist(), strict=True))


def csv_line(values: Sequence[Any]) -> str:
    """One line of a CSV file, with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same names as a CSV file, whole or not at all.

    Raises
    ------
    ArtifactError
        If the file cannot be written, or a label cannot be in a text file.
    """
    lines = [csv_line(list(rows[0]))] if rows else []
    lines += [csv_line(list(row.values())) for row in rows]
    write_text_atomically(path, "".join(lines))
