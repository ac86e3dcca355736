"""What a figure or table has one row for: a class, or a class within a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from autobalance.counts import Counts
from autobalance.report.wording import label_name

T = TypeVar("T")


@dataclass(frozen=True)
class Unit:
    """A class, or (with ``group_index``) a class within a group.

    Parameters
    ----------
    name
        As the page shows it.
    examples
        How many it holds in training.
    class_index, group_index
        Its row and column in the counts; ``group_index`` is ``None`` for a whole class.
    """

    name: str
    examples: float
    class_index: int
    group_index: int | None

    def of_cell(self, values: list[list[T]]) -> T:
        """Its entry in nested lists of shape (K, G); a whole class has the same in every group."""
        return values[self.class_index][self.group_index or 0]


def class_units(counts: Counts) -> list[Unit]:
    """The classes, most frequent first."""
    units = [
        Unit(label_name(label), float(examples), k, None)
        for k, (label, examples) in enumerate(zip(counts.classes, counts.per_class, strict=True))
    ]
    return _most_frequent_first(units)


def cell_units(counts: Counts) -> list[Unit]:
    """The cells, most frequent first; without groups the classes."""
    if counts.groups is None:
        return class_units(counts)
    units = [
        Unit(f"{label_name(label)} · {label_name(group)}", float(counts.values[k, j]), k, j)
        for k, label in enumerate(counts.classes)
        for j, group in enumerate(counts.groups)
    ]
    return _most_frequent_first(units)


def design_units(counts: Counts, *parameters: np.ndarray) -> list[Unit]:
    """The classes if every group has the same parameters, else the cells."""
    same = all((values == values[:, :1]).all() for values in parameters)
    return class_units(counts) if same else cell_units(counts)


def _most_frequent_first(units: list[Unit]) -> list[Unit]:
    return sorted(units, key=lambda unit: -unit.examples)
