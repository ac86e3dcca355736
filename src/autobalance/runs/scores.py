"""Scores of a model that was trained anywhere, with what is known of the rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from autobalance.data.numeric import as_numbers
from autobalance.data.splits import SPLITS
from autobalance.data.tables import Table, read_table
from autobalance.data.targets import encode_groups, encode_target, split_rows
from autobalance.data.values import Coded
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError
from autobalance.labels import label_text
from autobalance.runs.columns import refuse_two_roles

ARRAY, COLUMNS = "logits", "probability"
"""The names that scores have by default: of the array of an ``.npz`` file or the column of vectors,
and before the brackets of columns such as ``probability[yes]``."""
_SMALLEST = 1e-12
_SUM = 1e-3


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows with one score for each class.

    Parameters
    ----------
    source
        Where they came from.
    logits
        Shape (N, K), in the order of the labels of ``y``; logarithms, if probabilities were given.
    kind
        ``logits`` or ``probabilities``.
    y
        Codes and labels of the classes.
    g
        The same of the groups, if there are any.
    group_columns
        Names of the columns that they come from.
    parts
        Positions of the rows of each part, if there is a split.
    """

    source: str
    logits: Float[ndarray, "N K"]
    kind: str
    y: Coded
    g: Coded | None
    group_columns: tuple[str, ...]
    parts: dict[str, Int[ndarray, "_"]] | None

    @classmethod
    def read(
        cls,
        path: Path,
        target: str,
        groups: tuple[str, ...] = (),
        split: str | None = None,
        scores: str | None = None,
        classes: tuple[str, ...] | None = None,
    ) -> ScoredRows:
        """Read them.

        Parameters
        ----------
        path
            An ``.npz`` file with an array (N, K) of scores, or a table with a column of K numbers
            or with a column for each class, such as ``probability[yes]``.
        target, groups, split
            Columns, or arrays of the ``.npz`` file.
        scores
            Name of the array or vector, ``logits`` by default, or what stands before the brackets,
            ``probability`` by default.
        classes
            The labels in the order of an array's columns, by their text; by default sorted.

        Raises
        ------
        DataError
            If the file cannot be read, a column is missing, or there is not one finite score for
            each class.
        """
        refuse_two_roles(target, groups, split)
        archive = path.name.lower().endswith(".npz")
        table = read_table(
            path,
            features=(scores or ARRAY) if archive else None,
            required=(target, *groups, *(() if split is None else (split,))),
        )
        y = encode_target(table.column(target))
        texts = [label_text(label) for label in y.labels]
        name = scores or ARRAY
        if name in table.vectors:
            found = _in_order(table, name, texts, classes)
        else:
            found = _of_columns(table, scores or COLUMNS, texts)
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise DataError(f"the scores of {path} are not finite in row {row}; correct them")
        sums = found.sum(axis=1)
        probabilities = bool((found >= 0).all() and (np.abs(sums - 1) < _SUM).all())
        return cls(
            str(path),
            np.log(np.maximum(found, _SMALLEST)) if probabilities else found,
            "probabilities" if probabilities else "logits",
            y,
            encode_groups(table.columns(groups)) if groups else None,
            groups,
            None if split is None else _parts(table, split),
        )

    def __len__(self) -> int:
        return len(self.logits)


def _in_order(
    table: Table, name: str, texts: list[str], classes: tuple[str, ...] | None
) -> Float[ndarray, "N K"]:
    """An array's columns in the order of the labels that were found."""
    matrix = table.vectors[name].astype(np.float64)
    order = texts if classes is None else list(classes)
    if len(order) != matrix.shape[1] or sorted(order) != sorted(texts):
        raise DataError(
            f"{name!r} of {table.source} has {amount(matrix.shape[1], 'column')} but the classes "
            f"are {listing(order, limit=20)} and those of the rows {listing(texts, limit=20)}; "
            "give one score for each class, and name the classes in the order of the columns with "
            "--classes if that is not the sorted one"
        )
    return matrix[:, [order.index(text) for text in texts]]


def _of_columns(table: Table, name: str, texts: list[str]) -> Float[ndarray, "N K"]:
    """Columns ``name[label]``, by the labels in their names."""
    pattern = re.compile(rf"{re.escape(name)}\[(.*)\]", re.DOTALL)
    matches = {column: pattern.fullmatch(column) for column in table.names}
    columns = {match[1]: column for column, match in matches.items() if match}
    if sorted(columns) != sorted(texts):
        raise DataError(
            f"{table.source} has no column of scores such as {f'{name}[{texts[0]}]'!r} for each of "
            f"the classes {listing(texts, limit=20)}, and no other; name the scores with --scores"
        )
    return np.column_stack([as_numbers(table.column(columns[text])) for text in texts])


def _parts(table: Table, split: str) -> dict[str, Int[ndarray, "_"]]:
    parts = split_rows(table.column(split), to_train=False)
    for name in SPLITS[1:]:
        if not len(parts[name]):
            raise DataError(
                f"split column {split!r} of {table.source} marks no {name} row; a correction is "
                "fitted on validation rows, which the model was not trained on, and measured on "
                "test rows"
            )
    return parts
