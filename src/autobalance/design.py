"""LossDesign: the values of a designed loss, as a small versioned JSON file.

A design is what a search produces and what a training loop consumes. It names classes and groups by
their labels, so that it can be checked against the data it is used with, and its JSON form
round-trips exactly (Python writes the shortest decimal that reads back to the same float).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.errors import AutoBalanceError, DesignError
from autobalance.plain import numbers
from autobalance.storage import DAMAGED, read_json, read_text, write_text_atomically

FORMAT = "autobalance-design"
VERSION = 2
"""Of designs with a policy; others are written as version 1, which every AutoBalance reads."""


@dataclass(frozen=True, eq=False)
class LossDesign:
    """Values of the parametric cross-entropy per (class, group) cell.

    With logits z, class y and group g the loss of one example is
    ``-weight[y, g] * log_softmax(multiplicative[:, g] * z + additive[:, g])[y]``
    (AutoBalance, NeurIPS 2021, eq. 2.1 and 4.2).

    Parameters
    ----------
    counts
        The training examples per cell that the design was made for, with the labels.
    weight, additive, multiplicative
        Shape (K, G) each: w (positive, usually of mean 1 over the examples), l and δ (positive).
        At inference none of them is used: the plain logits decide.
    ridge
        Strength μ of the penalty ``μ/2 · ‖θ‖²`` added to the *mean* loss, or ``None`` when the
        design says nothing about it.
    metadata
        Anything worth keeping that JSON can hold: objective, seed, versions, how it was found. It
        is kept as JSON would give it back, so tuples become lists.
    policy
        What happens to the examples of each cell before training sees them, or ``None``.

    Raises
    ------
    DesignError
        If a shape does not fit the counts, a value is not finite, a weight or multiplier is not
        positive, the policy is for other cells, or the metadata holds something that JSON cannot.
    """

    counts: Counts
    weight: Float[ndarray, "K G"]
    additive: Float[ndarray, "K G"]
    multiplicative: Float[ndarray, "K G"]
    ridge: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy | None = None

    def __post_init__(self) -> None:
        for name in ("weight", "additive", "multiplicative"):
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
            if values.shape != self.counts.values.shape:
                raise DesignError(
                    f"{name} has shape {values.shape} but the design has "
                    f"{self.counts.n_classes} classes and {self.counts.n_groups} groups; "
                    "give one row per class and one column per group"
                )
            if not np.isfinite(values).all():
                raise DesignError(
                    f"{name} is not finite for {self._first_cell(~np.isfinite(values))}; "
                    "give finite numbers"
                )
            if name != "additive" and (values <= 0).any():
                raise DesignError(
                    f"{name} is not positive for {self._first_cell(values <= 0)}; "
                    "give positive numbers, a tiny one to switch a cell off"
                )
        if self.ridge is not None and not (np.isfinite(self.ridge) and self.ridge >= 0):
            raise DesignError(f"ridge is {self.ridge} but must be finite and not negative")
        if self.policy is not None and self.policy.cells != self.counts.values.shape:
            raise DesignError(
                f"the policy is for {self.policy.cells[0]} classes and {self.policy.cells[1]} "
                f"groups but the design has {self.counts.n_classes} and {self.counts.n_groups}; "
                "give it a row for each class and a column for each group"
            )
        try:
            metadata = json.loads(json.dumps(dict(self.metadata), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise DesignError(
                f"metadata holds something that JSON cannot ({error}); give plain finite values"
            ) from error
        object.__setattr__(self, "metadata", metadata)

    def _first_cell(self, marked: Bool[ndarray, "K G"]) -> str:
        k, j = np.argwhere(marked)[0]
        return self.counts.cell_name(int(k), int(j))

    def with_metadata(self, **entries: Any) -> LossDesign:
        """A copy with further entries in ``metadata``."""
        return replace(self, metadata={**self.metadata, **entries})

    def to_json(self) -> str:
        """The design as JSON text that :meth:`from_json` reads back exactly."""
        document = {
            "format": FORMAT,
            "version": 1 if self.policy is None else VERSION,
            **self.counts.to_plain(),
            "weight": self.weight.tolist(),
            "additive": self.additive.tolist(),
            "multiplicative": self.multiplicative.tolist(),
            "ridge": self.ridge,
            **({} if self.policy is None else {"policy": self.policy.to_plain()}),
            "metadata": dict(self.metadata),
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "the design") -> LossDesign:
        """Read a design from JSON text; ``source`` names it in errors.

        Raises
        ------
        DesignError
            If the text is damaged, is no design, or was written by a newer AutoBalance.
        """
        document = read_json(text, source, FORMAT, VERSION, DesignError)
        try:
            ridge = document["ridge"]
            return cls(
                Counts.from_plain(document),
                numbers(document, "weight"),
                numbers(document, "additive"),
                numbers(document, "multiplicative"),
                None if ridge is None else _number(ridge),
                _object(document, "metadata"),
                Policy.from_plain(document["policy"]) if "policy" in document else None,
            )
        except KeyError as error:
            raise DesignError(
                f"{source} is damaged (it has no {error!s}); restore it or run the search again"
            ) from error
        except (AutoBalanceError, *DAMAGED) as error:
            raise DesignError(
                f"{source} is damaged ({error!s}); restore it or run the search again"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the design to ``path`` in one step: the old file or the new one, never half."""
        write_text_atomically(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> LossDesign:
        """Read a design written by :meth:`save`.

        Raises
        ------
        DesignError
            If the file is missing, damaged, or was written by a newer AutoBalance.
        """
        text = read_text(Path(path), DesignError, "check the path")
        return cls.from_json(text, str(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LossDesign):
            return NotImplemented
        return (
            self.counts == other.counts
            and self.ridge == other.ridge
            and self.policy == other.policy
            and dict(self.metadata) == dict(other.metadata)
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("weight", "additive", "multiplicative")
            )
        )

    __hash__ = None  # type: ignore[assignment]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document[name]
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    return value
