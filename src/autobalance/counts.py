"""How many examples each (class, group) cell holds: the only thing closed-form losses look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from autobalance.errors import DataError
from autobalance.labels import Label, as_label, label_from_json, label_text, label_to_json
from autobalance.plain import numbers


@dataclass(frozen=True, eq=False)
class Counts:
    """Examples per (class, group) cell, with the labels of both.

    Parameters
    ----------
    values
        Shape (K, G): examples, or summed sample weights, of each cell. G is 1 without groups.
    classes
        The K class labels, in the order of the rows and of the model's logits.
    groups
        The G group labels in the order of the columns, or ``None`` when there are no groups.
    multilabel
        Whether the columns are the labels of a multi-label problem (or pairs of a label and a
        group) and the two classes what each of them is: negative or positive. See
        :func:`~autobalance.multilabel.label_counts`.

    Raises
    ------
    DataError
        If the shapes disagree, a count is negative or not finite, two labels are equal (as 1, 1.0
        and True are in Python), a class has no example, or ``multilabel`` lacks what it means.
    """

    values: Float[ndarray, "K G"]
    classes: tuple[Label, ...]
    groups: tuple[Label, ...] | None = None
    multilabel: bool = False

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "classes", tuple(as_label(label) for label in self.classes))
        if self.groups is not None:
            object.__setattr__(self, "groups", tuple(as_label(label) for label in self.groups))
        expected = (len(self.classes), 1 if self.groups is None else len(self.groups))
        if values.shape != expected or values.size == 0:
            raise DataError(
                f"counts have shape {values.shape} but the labels need {expected}; "
                "give one row per class and one column per group, at least one of each"
            )
        if self.multilabel and (self.groups is None or len(self.classes) != 2):
            raise DataError(
                "counts of labels need two classes and the labels as groups; make them with "
                "label_counts"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum()
        if not np.isfinite(total) or (values < 0).any():
            raise DataError("counts must be finite and not negative; check the sample weights")
        for kind, labels in (("class", self.classes), ("group", self.groups or ())):
            seen: set[Label] = set()
            for label in labels:
                if label in seen:
                    raise DataError(f"the {kind} label {label!r} appears twice; labels must differ")
                seen.add(label)
        for label, examples in zip(self.classes, values.sum(axis=1), strict=True):
            if examples == 0:
                raise DataError(
                    f"class {label_text(label)!r} has no example; leave it out of the classes"
                )

    @classmethod
    def from_codes(
        cls,
        y: Integer[ndarray, "N"],
        g: Integer[ndarray, "N"] | None,
        classes: Sequence[Label],
        groups: Sequence[Label] | None = None,
        sample_weight: Float[ndarray, "N"] | None = None,
    ) -> Counts:
        """Count cells from integer codes ``y`` in [0, K) and ``g`` in [0, G).

        Parameters
        ----------
        y, g
            Codes of each example's class and group; ``g`` is ``None`` exactly if ``groups`` is.
        classes, groups
            The labels that the codes stand for.
        sample_weight
            Weight of each example; ``None`` counts every example as one.

        Raises
        ------
        DataError
            If a code is out of range, lengths differ, or the counts are refused by :class:`Counts`.
        """
        if (g is None) != (groups is None):
            raise DataError("group codes and group labels belong together; give both or neither")
        n_classes, n_groups = len(classes), 1 if groups is None else len(groups)
        group_codes = np.zeros_like(y) if g is None else g
        for name, array in (("group codes", group_codes), ("sample weights", sample_weight)):
            if array is not None and len(array) != len(y):
                raise DataError(f"there are {len(y)} class codes but {len(array)} {name}")
        for kind, codes, size in (("class", y, n_classes), ("group", group_codes, n_groups)):
            outside = (codes < 0) | (codes >= size)
            if outside.any():
                i = int(outside.argmax())
                raise DataError(
                    f"{kind} code {codes[i]} of example {i} is not in 0..{size - 1}; "
                    f"codes are positions in the {kind} labels"
                )
        cell = y.astype(np.int64) * n_groups + group_codes
        totals = np.bincount(cell, weights=sample_weight, minlength=n_classes * n_groups)
        return cls(
            totals.reshape(n_classes, n_groups).astype(np.float64),
            tuple(classes),
            None if groups is None else tuple(groups),
        )

    def to_plain(self) -> dict[str, Any]:
        """The labels and the counts, as the JSON files of designs and corrections have them."""
        groups = self.groups
        return {
            "classes": [label_to_json(label) for label in self.classes],
            "groups": None if groups is None else [label_to_json(label) for label in groups],
            **({"multilabel": True} if self.multilabel else {}),
            "counts": self.values.tolist(),
        }

    @classmethod
    def from_plain(cls, document: Mapping[str, Any]) -> Counts:
        """Read :meth:`to_plain`; other entries of the document are left alone.

        Raises
        ------
        KeyError, TypeError, ValueError, DataError
            If an entry is missing, of another kind, or refused by the class.
        """
        return cls(
            numbers(document, "counts"),
            _labels(document, "classes"),
            None if document["groups"] is None else _labels(document, "groups"),
            document.get("multilabel") is True,
        )

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def n_groups(self) -> int:
        """G, which is 1 without groups."""
        return int(self.values.shape[1])

    @property
    def per_class(self) -> Float[ndarray, "K"]:
        """Examples of each class over all groups."""
        return np.asarray(self.values.sum(axis=1))

    @property
    def frequencies(self) -> Float[ndarray, "K G"]:
        """Share of all examples in each cell (π)."""
        return np.asarray(self.values / self.values.sum())

    @property
    def filled(self) -> Float[ndarray, "K G"]:
        """Examples of each cell, where an empty one counts as half an example, or half the rarest.

        Logarithms and inverses of it are finite; see :mod:`autobalance.losses.presets`.
        """
        rarest = self.values[self.present].min()
        return np.where(self.present, self.values, min(1.0, rarest) / 2.0)

    @property
    def present(self) -> Bool[ndarray, "K G"]:
        """Cells that hold at least one example."""
        return self.values > 0

    def class_name(self, k: int) -> str:
        """The class as people read it, such as ``class 'waterbird'``."""
        return f"class {label_text(self.classes[k])!r}"

    def cell_name(self, k: int, j: int) -> str:
        """The cell as people read it: ``class 'waterbird' in group 'land'``.

        Of a multi-label problem it is ``label 'rash', positive``.
        """
        if self.groups is None:
            return self.class_name(k)
        column = repr(label_text(self.groups[j]))
        if self.multilabel:
            return f"label {column}, {label_text(self.classes[k])}"
        return f"{self.class_name(k)} in group {column}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return (
            np.array_equal(self.values, other.values)
            and self.classes == other.classes
            and self.groups == other.groups
            and self.multilabel == other.multilabel
        )

    __hash__ = None  # type: ignore[assignment]


def _labels(document: Mapping[str, Any], name: str) -> tuple[Label, ...]:
    values = document[name]
    if not isinstance(values, list):
        raise TypeError(f"{name} is not a list")
    return tuple(label_from_json(value) for value in values)
