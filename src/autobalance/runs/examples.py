"""From a table to coded examples: who trains, who is tested, and what a user should know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.data.encoder import TableEncoder
from autobalance.data.splits import SPLITS
from autobalance.data.tables import Table
from autobalance.data.targets import (
    codes_of_classes,
    codes_of_groups,
    encode_groups,
    encode_target,
    rows_to_keep,
    split_rows,
)
from autobalance.data.wording import amount
from autobalance.errors import DataError
from autobalance.runs.columns import Columns


@dataclass(frozen=True, eq=False)
class Examples:
    """Features (N, D) with codes of class and group; without groups ``g`` is all 0."""

    features: Float[ndarray, "N D"]
    y: Integer[ndarray, "N"]
    g: Integer[ndarray, "N"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class PreparedTable:
    """What a fit needs of a table.

    Parameters
    ----------
    source
        Name of the table.
    train
        The examples that are fitted and searched on.
    test
        Those that are read once, at the end; ``None`` if the table marks none.
    counts
        Training examples per cell.
    encoder
        Fitted on the training rows.
    rows
        How many rows are used as what.
    notes
        Sentences that a user should know.
    """

    source: str
    train: Examples
    test: Examples | None
    counts: Counts
    encoder: TableEncoder
    rows: dict[str, int]
    notes: tuple[str, ...]


def prepare_table(
    table: Table,
    columns: Columns,
    drop_classes: Sequence[str] = (),
    train_on: Sequence[str] = ("train",),
) -> PreparedTable:
    """Split a table by its split column and turn both parts into numbers.

    Everything is learnt from the training rows: classes, groups, categories and medians. The test
    rows are only translated, which shows before a long search if they do not fit.

    Parameters
    ----------
    table
        With every column that has a role.
    columns
        The roles.
    drop_classes
        Classes to leave out, by their text.
    train_on
        The parts of the split that are fitted and searched on.

    Raises
    ------
    DataError
        If the table cannot be used; the message says why and what to do.
    """
    rows_in_file = len(table)
    if drop_classes:
        table = table.rows(rows_to_keep(table.column(columns.target), drop_classes))
        if not len(table):
            raise DataError(
                f"no row of {table.source} is left after leaving out every class; keep at least two"
            )
    parts = _parts(table, columns)
    trained_on = np.sort(np.concatenate([parts[name] for name in train_on]))
    train, test = table.rows(trained_on), table.rows(parts["test"])
    target = encode_target(train.column(columns.target))
    groups = encode_groups(train.columns(columns.groups)) if columns.groups else None
    encoder = TableEncoder.fit(columns.feature_table(train))
    notes = list(encoder.notes)
    if rows_in_file > len(table):
        notes.insert(0, f"{amount(rows_in_file - len(table), 'row')} of left-out classes dropped.")
    idle = [name for name in SPLITS if name not in ("test", *train_on) and len(parts[name])]
    for name in idle:
        notes.append(
            f"{amount(len(parts[name]), f'{name} row')} not used; add them with "
            f"--train-on train+{name}."
        )
    return PreparedTable(
        source=table.source,
        train=Examples(
            encoder.transform(train),
            target.codes,
            np.zeros(len(train), dtype=np.int64) if groups is None else groups.codes,
        ),
        test=None
        if not len(test)
        else Examples(
            encoder.transform(test),
            codes_of_classes(test.column(columns.target), target.labels),
            np.zeros(len(test), dtype=np.int64)
            if groups is None
            else codes_of_groups(test.columns(columns.groups), groups.labels),
        ),
        counts=Counts.from_codes(
            target.codes,
            None if groups is None else groups.codes,
            target.labels,
            None if groups is None else groups.labels,
        ),
        encoder=encoder,
        rows={
            "train": len(train),
            "validation": sum(len(parts[name]) for name in idle),
            "test": len(test),
        },
        notes=tuple(notes),
    )


def _parts(table: Table, columns: Columns) -> dict[str, Int[ndarray, "_"]]:
    """Rows of each part; without a split column all are for training."""
    if columns.split is not None:
        return split_rows(table.column(columns.split))
    nothing = np.zeros(0, dtype=np.int64)
    return {"train": np.arange(len(table)), "validation": nothing, "test": nothing}
