"""The target, group and split columns of a table as integer codes with labels.

Labels come out sorted, numbers by value and text by alphabet, so that the same data always gives
the same order of classes. Missing values sort last.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray

from autobalance.data.splits import SPLITS, part_of_value
from autobalance.data.values import Coded, distinct_values, plain_label
from autobalance.data.wording import amount, listing
from autobalance.errors import DataError
from autobalance.labels import Label, label_text

FEW_NUMBERS = 100
"""Numbers are labels up to this many distinct values.

A float target with more counts as continuous; so does an integer target or a group column of
numbers when, beyond that, its values repeat fewer than five times on average.
"""
_REPEATS = 5


def rows_to_keep(target: pd.Series[Any], drop_classes: Sequence[str]) -> Bool[ndarray, "N"]:
    """Mask of the rows whose class is not left out with ``--drop-class``.

    Classes are named by their text, ``3`` for the number 3 and ``missing`` for rows without a
    target value.

    Raises
    ------
    DataError
        If no row has a class of that name.
    """
    codes, labels = distinct_values(target)
    texts = [label_text(label) for label in labels]
    for name in drop_classes:
        if name not in texts:
            raise DataError(
                f"target column {_name(target)} has no class {name!r} to leave out; "
                f"it has {listing(texts, limit=20)}"
            )
    return np.isin(codes, [code for code, text in enumerate(texts) if text not in drop_classes])


def encode_target(target: pd.Series[Any]) -> Coded:
    """Class codes and labels of the rows a model will be fitted on.

    Strings, booleans, categories and integers are labels. Floats are labels if they are at most
    :data:`FEW_NUMBERS` distinct whole numbers, and then become integers.

    Raises
    ------
    DataError
        If a value is missing, the target is continuous, all rows have one class, or a class has a
        single example: its error could not be measured on examples held out from training.
    """
    codes, labels = _without_gaps(target)
    _refuse_continuous_target(target, labels)
    if len(labels) == 1:
        raise DataError(
            f"target column {_name(target)} holds the one class {label_text(labels[0])!r} in all "
            "rows; a classifier needs at least two classes"
        )
    single = [label_text(labels[code]) for code in np.flatnonzero(np.bincount(codes) == 1)]
    if single:
        options = " ".join(f"--drop-class {name!r}" for name in single[:5])
        subject = "class" if len(single) == 1 else "classes"
        verb = "has" if len(single) == 1 else "each have"
        raise DataError(
            f"{subject} {listing(single)} of target column {_name(target)} {verb} a single "
            f"example and cannot be both trained on and checked; leave out with {options}"
        )
    return Coded(codes, labels)


def _without_gaps(target: pd.Series[Any]) -> Coded:
    missing = int(target.isna().sum())
    if missing:
        raise DataError(
            f"target column {_name(target)} has no value in {amount(missing, 'row')}; "
            "fill them in, or leave these rows out with --drop-class missing"
        )
    return distinct_values(target)


def _refuse_continuous_target(target: pd.Series[Any], labels: tuple[Label, ...]) -> None:
    broken = next((label for label in labels if isinstance(label, float)), None)
    if broken is not None:
        raise DataError(
            f"target column {_name(target)} holds numbers such as {broken!r} and seems continuous; "
            "turn it into classes, such as ranges"
        )
    too_many = (
        len(labels) > FEW_NUMBERS
        if pd.api.types.is_float_dtype(target)
        else _are_measurements(labels, len(target))
    )
    if too_many:
        raise DataError(
            f"target column {_name(target)} holds {amount(len(labels), 'distinct number')} and "
            "seems continuous; turn it into classes, such as ranges"
        )


def _are_measurements(labels: tuple[Label, ...], n_rows: int) -> bool:
    numbers = sum(isinstance(label, (int, float)) for label in labels)
    return numbers > max(FEW_NUMBERS, n_rows / _REPEATS)


def encode_groups(columns: pd.DataFrame) -> Coded:
    """Group codes and labels from one or several columns.

    A missing value is a group of its own with the label ``None``. Several columns make groups of
    the combinations that occur, with tuples as labels; a combination that never occurs is no group.

    Raises
    ------
    DataError
        If a column holds too many distinct numbers to be groups.
    """
    coded = [distinct_values(columns[name]) for name in columns]
    for name, (_, labels) in zip(columns, coded, strict=True):
        broken = any(isinstance(label, float) for label in labels)
        if _are_measurements(labels, len(columns)) or (broken and len(labels) > FEW_NUMBERS):
            raise DataError(
                f"group column {str(name)!r} holds {amount(len(labels), 'distinct number')}; "
                "cut it into a few ranges first"
            )
    if len(coded) == 1:
        return coded[0]
    combinations, codes = np.unique(
        np.column_stack([part.codes for part in coded]), axis=0, return_inverse=True
    )
    tuples = tuple(
        tuple(part.labels[code] for code, part in zip(combination, coded, strict=True))
        for combination in combinations
    )
    return Coded(codes.reshape(-1), tuples)


def codes_of_classes(target: pd.Series[Any], classes: Sequence[Label]) -> Int[ndarray, "N"]:
    """Class codes of further rows, by the classes that were found in training.

    Raises
    ------
    DataError
        If a row has no value, or a class that training did not see.
    """
    return _codes(_without_gaps(target), classes, f"target column {_name(target)}", "class")


def codes_of_groups(columns: pd.DataFrame, groups: Sequence[Label]) -> Int[ndarray, "N"]:
    """Group codes of further rows, by the groups that were found in training.

    Raises
    ------
    DataError
        If a row has a group that training did not see.
    """
    where = f"group columns {listing(columns.columns)}"
    return _codes(encode_groups(columns), groups, where, "group")


def _codes(coded: Coded, known: Sequence[Label], where: str, noun: str) -> Int[ndarray, "N"]:
    code_of = {_spelling(label): code for code, label in enumerate(known)}
    new = [label_text(label) for label in coded.labels if _spelling(label) not in code_of]
    if new:
        remedy = "with --drop-class" if noun == "class" else "of the table"
        raise DataError(
            f"{where}: {noun} {listing(new)} did not occur in training; "
            f"leave these rows out {remedy}"
        )
    codes = [code_of[_spelling(label)] for label in coded.labels]
    return np.take(np.array(codes, dtype=np.int64), coded.codes)


def _spelling(label: Label) -> Hashable:
    """What makes a label the same in another file.

    A column of 1, 2 and x is text, but a file with the 1s and 2s alone is read as numbers.
    """
    if isinstance(label, tuple):
        return tuple(_spelling(part) for part in label)
    return None if label is None else str(plain_label(label))


def split_rows(split: pd.Series[Any], *, to_train: bool = True) -> dict[str, Int[ndarray, "_"]]:
    """Positions of the rows of each part, under the keys ``train``, ``validation`` and ``test``.

    The column holds train, validation (or val, valid, dev) and test in any case, or 0, 1 and 2.

    Parameters
    ----------
    split
        The column.
    to_train
        Whether there must be rows for training.

    Raises
    ------
    DataError
        If it holds anything else, or no row for training where there must be.
    """
    codes, labels = distinct_values(split)
    texts = [label_text(label) for label in labels]
    parts = [part_of_value(text) for text in texts]
    unknown = [text for text, part in zip(texts, parts, strict=True) if part is None]
    if unknown:
        raise DataError(
            f"split column {_name(split)} holds {listing(unknown)}; "
            "use train, validation and test, or 0, 1 and 2"
        )
    part_of_row = np.array(parts)[codes]
    rows = {name: np.flatnonzero(part_of_row == name) for name in SPLITS}
    if to_train and not len(rows["train"]):
        raise DataError(
            f"split column {_name(split)} marks no row for training; mark some as train or 0"
        )
    return rows


def _name(column: pd.Series[Any]) -> str:
    return repr(str(column.name))
