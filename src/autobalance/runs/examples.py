"""From rows to coded examples: who trains, who is tested, and what a user should know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Integer
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.data.splits import SPLITS
from autobalance.data.tables import give_back_memory
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
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import Reader, learn
from autobalance.runs.rows import Rows


@dataclass(frozen=True, eq=False)
class Examples:
    """Features (N, D) or images (N, C, H, W) with codes of class and group.

    Without groups ``g`` is all 0.
    """

    features: ndarray
    y: Integer[ndarray, "N"]
    g: Integer[ndarray, "N"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """What a fit needs of rows.

    Parameters
    ----------
    source
        Where they came from.
    noun
        What a row is: ``row`` or ``image``.
    train
        The examples that are fitted and searched on.
    test
        Those that are read once, at the end; ``None`` if there are none.
    counts
        Training examples per cell.
    reader
        Learnt from the training rows.
    rows
        How many rows are used as what.
    notes
        Sentences that a user should know.
    """

    source: str
    noun: str
    train: Examples
    test: Examples | None
    counts: Counts
    reader: Reader
    rows: dict[str, int]
    notes: tuple[str, ...]


def prepare(
    rows: Rows,
    columns: Columns | ImageColumns,
    drop_classes: Sequence[str] = (),
    train_on: Sequence[str] = ("train",),
) -> PreparedRows:
    """Split rows by their split column and turn both parts into numbers.

    Everything is learnt from the training rows: classes, groups, categories, medians and the shape
    of images. The test rows are only translated, which shows before a long search if they do not
    fit.

    Parameters
    ----------
    rows
        As ``columns`` read them. They are let go as soon as they are divided, and with them their
        memory if nobody else holds them.
    columns
        The roles.
    drop_classes
        Classes to leave out, by their text.
    train_on
        The parts of the split that are fitted and searched on.

    Raises
    ------
    DataError
        If the rows cannot be used; the message says why and what to do.
    """
    rows_in_file = len(rows)
    if drop_classes:
        rows = rows.rows(rows_to_keep(rows.target, drop_classes))
        if not len(rows):
            raise DataError(
                f"no {rows.noun} of {rows.source} is left after leaving out every class; keep at "
                "least two"
            )
    parts, dropped = _parts(rows), rows_in_file - len(rows)
    trained_on = np.sort(np.concatenate([parts[name] for name in train_on]))
    train, test = rows.rows(trained_on), rows.rows(parts["test"])
    del rows  # as large as the features that are made of its parts
    give_back_memory()
    target = encode_target(train.target)
    groups = None if train.groups is None else encode_groups(train.groups)
    # whatever is wrong with the labels shows before images are decoded
    test_codes = (
        codes_of_classes(test.target, target.labels),
        _no_groups(test)
        if groups is None or test.groups is None
        else codes_of_groups(test.groups, groups.labels),
    )
    reader, features = learn(columns, train.content)
    notes = list(reader.notes)
    if dropped:
        notes.insert(0, f"{amount(dropped, train.noun)} of left-out classes dropped.")
    idle = [name for name in SPLITS if name not in ("test", *train_on) and len(parts[name])]
    for name in idle:
        notes.append(
            f"{amount(len(parts[name]), f'{name} {train.noun}')} not used; add them with "
            f"--train-on train+{name}."
        )
    return PreparedRows(
        source=train.source,
        noun=train.noun,
        train=Examples(
            features, target.codes, _no_groups(train) if groups is None else groups.codes
        ),
        test=Examples(reader.transform(test.content), *test_codes) if len(test) else None,
        counts=Counts.from_codes(
            target.codes,
            None if groups is None else groups.codes,
            target.labels,
            None if groups is None else groups.labels,
        ),
        reader=reader,
        rows={
            "train": len(train),
            "validation": sum(len(parts[name]) for name in idle),
            "test": len(test),
        },
        notes=tuple(notes),
    )


def _no_groups(rows: Rows) -> Int[ndarray, "_"]:
    return np.zeros(len(rows), dtype=np.int64)


def _parts(rows: Rows) -> dict[str, Int[ndarray, "_"]]:
    """Rows of each part; without a split all are for training."""
    if rows.split is not None:
        return split_rows(rows.split)
    nothing = np.zeros(0, dtype=np.int64)
    return {"train": np.arange(len(rows)), "validation": nothing, "test": nothing}
