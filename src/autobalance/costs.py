"""What wrong decisions cost: the matrix C[y, k] of deciding k where y is true.

Costs speak of labels, so that nobody has to know the order of the classes. Searches see them
without what no decision can change and without a unit. A constant added to the row of a true class
changes no decision (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, section 1.2),
and a factor on everything changes none either. With the most that can be lost on class y,

    c_y = max_k C[y, k] − min_k C[y, k],

they see C as **stakes** c_y / Σ_j π_j c_j, of mean 1 over the examples, and **credits** in [0, 1],

    A[y, k] = 1 − (C[y, k] − min_j C[y, j]) / c_y.

Errors that all cost the same have stakes 1 and the identity as credits.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.labels import Label, as_label, label_from_json, label_text, label_to_json


@dataclass(frozen=True)
class Costs:
    """Costs C[y, k] ≥ 0 of deciding for class k where class y is true, by label.

    Parameters
    ----------
    classes
        K labels, which also read differently.
    rows
        K rows of K costs in the order of ``classes``: a row is a true class, a column a decision.
        Right decisions usually cost 0, but may cost something.

    Raises
    ------
    ObjectiveError
        If there is not one cost for each pair of two classes or more, two labels read alike, or a
        cost is negative or not finite.
    """

    classes: tuple[Label, ...]
    rows: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        names = [label_text(label) for label in self.classes]
        for name in names:
            if names.count(name) > 1:
                raise ObjectiveError(f"the costs name class {name!r} twice; name every class once")
        if len(names) < 2 or [len(row) for row in self.rows] != [len(names)] * len(names):
            raise ObjectiveError(
                f"the costs of {len(names)} classes are no square of {len(names)} rows; give one "
                "row for each true class and one column for each decision, at least two of them"
            )
        wrong = np.argwhere(~np.isfinite(self.matrix) | (self.matrix < 0))
        if len(wrong):
            y, k = (int(code) for code in wrong[0])
            raise ObjectiveError(
                f"the cost of deciding {names[k]!r} where {names[y]!r} is true is "
                f"{self.rows[y][k]:g}; costs must be finite and not negative"
            )

    @cached_property
    def matrix(self) -> Float[ndarray, "K K"]:
        """The costs in the order of ``classes``."""
        return np.array(self.rows, dtype=np.float64)

    @classmethod
    def of(cls, costs: Any, classes: Sequence[Label]) -> Costs:
        """Costs from whatever holds them.

        Parameters
        ----------
        costs
            :class:`Costs`; a pandas ``DataFrame`` whose index names the true classes and whose
            columns the decisions; or K rows of K numbers in the order of ``classes``.
        classes
            The sorted labels of the data.

        Raises
        ------
        ObjectiveError
            If they are none of these, or refused by :class:`Costs`.
        """
        if isinstance(costs, Costs):
            return costs
        if hasattr(costs, "index") and hasattr(costs, "columns"):
            true, decided = [tuple(map(as_label, axis)) for axis in (costs.index, costs.columns)]
            return _named(true, decided, _numbers(costs.to_numpy()))
        values = _numbers(costs)
        if values.shape != (len(classes), len(classes)):
            raise ObjectiveError(
                f"the costs have shape {values.shape} but the data have {len(classes)} classes; "
                "give a row and a column for each class in sorted order, or name them (Costs, a "
                "DataFrame)"
            )
        return cls(tuple(map(as_label, classes)), _rows(values))

    @classmethod
    def load(cls, path: str | Path) -> Costs:
        """Read a CSV file whose header names the decisions and whose first column the true classes.

        Raises
        ------
        ObjectiveError
            If it cannot be read, a class is not named exactly once as a row and once as a column,
            or the costs are refused by :class:`Costs`.
        """
        try:
            with open(path, encoding="utf-8-sig", newline="") as stream:
                lines = [line for line in csv.reader(stream) if any(map(str.strip, line))]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ObjectiveError(
                f"cannot read the costs {path} ({error}); check the file"
            ) from error
        if len(lines) < 2 or len({len(line) for line in lines}) > 1:
            raise ObjectiveError(
                f"{path} holds no table of costs; begin with a line of the classes decided for, "
                "then write a line for each true class, its name first"
            )
        header, *body = [[entry.strip() for entry in line] for line in lines]
        return _named(
            tuple(line[0] for line in body),
            tuple(header[1:]),
            np.array([[_number(entry, str(path)) for entry in line[1:]] for line in body]),
        )

    def of_classes(self, classes: Sequence[Label]) -> Float[ndarray, "K K"]:
        """The matrix in the order of ``classes``, which are looked up by what they read.

        Raises
        ------
        ObjectiveError
            If they lack a class.
        """
        place = {label_text(label): code for code, label in enumerate(self.classes)}
        for label in classes:
            if label_text(label) not in place:
                raise ObjectiveError(
                    f"there are no costs for class {label_text(label)!r}; they are for "
                    f"{', '.join(list(place)[:10])}"
                )
        codes = [place[label_text(label)] for label in classes]
        return self.matrix[np.ix_(codes, codes)]

    def bind(self, counts: Counts) -> BoundCosts:
        """Tie the costs to classes and their frequencies.

        Raises
        ------
        ObjectiveError
            If they lack a class, or no decision makes a difference.
        """
        matrix = self.of_classes(counts.classes)
        excess = matrix - matrix.min(axis=1, keepdims=True)
        most = excess.max(axis=1)
        if not most.any():
            raise ObjectiveError(
                "every decision costs the same whatever is true, so there is nothing to choose; "
                "let errors cost more than right decisions"
            )
        most /= most.max()  # or costs near the largest float could overflow in the sum
        excess /= excess.max()
        stakes = most / (counts.frequencies.sum(axis=1) @ most)
        return BoundCosts(matrix, stakes, 1 - excess / np.where(most > 0, most, 1.0)[:, None])

    def to_json(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "classes": [label_to_json(label) for label in self.classes],
            "matrix": [list(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, document: Any) -> Costs:
        """Inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError if damaged."""
        classes = tuple(label_from_json(label) for label in document["classes"])
        return cls(classes, tuple(tuple(map(float, row)) for row in document["matrix"]))


@dataclass(frozen=True, eq=False)
class BoundCosts:
    """Costs in the order of the classes of some data; made by :meth:`Costs.bind`.

    Parameters
    ----------
    matrix
        Shape (K, K), as they were given.
    stakes
        Shape (K,), what can be lost on each class, 1 on average over the examples.
    credits
        Shape (K, K), 1 for the best decision and 0 for the worst.
    """

    matrix: Float[ndarray, "K K"]
    stakes: Float[ndarray, "K"]
    credits: Float[ndarray, "K K"]

    def of_decisions(
        self, y: Integer[ndarray, "N"], decided: Integer[ndarray, "N"]
    ) -> Float[ndarray, "N"]:
        """What each decision costs."""
        return np.asarray(self.matrix[y, decided])


def _named(
    true: tuple[Label, ...], decided: tuple[Label, ...], values: Float[ndarray, "R C"]
) -> Costs:
    """Costs from a table with names on both sides, whose columns may be in another order."""
    rows, columns = [[label_text(label) for label in axis] for axis in (true, decided)]
    for name in (*rows, *columns):
        times = rows.count(name), columns.count(name)
        if times != (1, 1):
            raise ObjectiveError(
                f"the costs name class {name!r} {times[0]} times as a row and {times[1]} times as "
                "a column; name every class once as each"
            )
    return Costs(true, _rows(values[:, [columns.index(name) for name in rows]]))


def _numbers(values: Any) -> Float[ndarray, "..."]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ObjectiveError(
            f"the costs are no table of numbers ({error}); give a row for each true class"
        ) from error


def _number(text: str, source: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ObjectiveError(
            f"the cost {text!r} in {source} is no number; give one such as 2.5"
        ) from None


def _rows(values: Float[ndarray, "R C"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
