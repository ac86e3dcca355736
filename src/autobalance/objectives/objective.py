"""An objective as it is written: a sum of names, tied to classes and groups by ``bind``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.labels import Label, label_from_json, label_text, label_to_json
from autobalance.objectives.bound import BoundObjective
from autobalance.objectives.names import BY_GROUP, COST, DIFFERENCES, NAMES

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*(?:(?P<scale>{_NUMBER})\s*\*\s*)?(?P<name>[A-Za-z][A-Za-z-]*)\s*")


@dataclass(frozen=True)
class Objective:
    """A weighted sum of named objectives, not yet tied to any data.

    Parameters
    ----------
    terms
        Pairs (name, scale) with names from :data:`~autobalance.objectives.names.OBJECTIVES`, or
        ``cost`` alone, and positive scales.
    positive_class
        Label of the class that ``equal-opportunity`` looks at; by default the last of two classes.
    costs
        What decisions cost, for ``cost``.

    Raises
    ------
    ObjectiveError
        If ``cost`` is summed with others, or there are costs for another objective.
    """

    terms: tuple[tuple[str, float], ...]
    positive_class: Label = None
    costs: Costs | None = None

    def __post_init__(self) -> None:
        if self.about_costs and len(self.terms) > 1:
            raise ObjectiveError(
                f"objective {str(self)!r} adds costs and error rates, which have no common unit; "
                "ask for cost alone, and let the errors that also count otherwise cost more"
            )
        if self.costs is not None and not self.about_costs:
            raise ObjectiveError(
                f"there are costs but objective {str(self)!r} does not look at them; ask for cost, "
                "or leave the costs out"
            )

    @classmethod
    def parse(
        cls, text: str, positive_class: Label = None, costs: Costs | None = None
    ) -> Objective:
        """Read an expression such as ``balanced`` or ``0.1*error+0.9*equalized-odds``.

        Raises
        ------
        ObjectiveError
            If the text is no sum of known names, a scale is not positive and finite, or costs and
            objective do not go together.
        """
        scales: dict[str, float] = {}
        position = 0
        while True:
            match = _TERM.match(text, position)
            if match is None or match["name"] not in NAMES:
                found = match["name"] if match else text[position:].strip() or "nothing"
                raise ObjectiveError(
                    f"objective {text!r}: {found!r} is not one of {', '.join(NAMES)}; "
                    "write a name or a sum such as 0.1*error+0.9*equalized-odds"
                )
            scale = float(match["scale"] or 1.0)
            total = scales.get(match["name"], 0.0) + scale
            if scale == 0 or total == math.inf:
                raise ObjectiveError(
                    f"objective {text!r}: the factor of {match['name']} must be positive and finite"
                )
            scales[match["name"]] = total
            position = match.end()
            if position == len(text):
                return cls(tuple(scales.items()), positive_class, costs)
            if text[position] != "+":
                raise ObjectiveError(
                    f"objective {text!r}: expected '+' before {text[position:]!r}; "
                    "write a sum such as 0.1*error+0.9*equalized-odds"
                )
            position += 1

    def __str__(self) -> str:
        """Canonical text that :meth:`parse` reads back."""
        if len(self.terms) == 1 and self.terms[0][1] == 1:
            return self.terms[0][0]
        return "+".join(f"{scale!r}*{name}" for name, scale in self.terms)

    def to_json(self) -> dict[str, Any]:
        """Plain values as the files hold them, that :meth:`from_json` reads back."""
        return {**self.facts(), "positive_class": label_to_json(self.positive_class)}

    def facts(self) -> dict[str, Any]:
        """What the metadata of a design say: the text, and the costs if there are any."""
        costs = {} if self.costs is None else {"costs": self.costs.to_json()}
        return {"objective": str(self), **costs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Objective:
        """Inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError if damaged."""
        costs = document.get("costs")  # files of before there were any have none
        return cls.parse(
            str(document["objective"]),
            label_from_json(document["positive_class"]),
            None if costs is None else Costs.from_json(costs),
        )

    @property
    def about_costs(self) -> bool:
        """Whether it takes costs in place of error rates."""
        return any(name == COST for name, _ in self.terms)

    @property
    def by_group(self) -> bool:
        """Whether a term takes errors of classes within groups."""
        return any(name in BY_GROUP for name, _ in self.terms)

    def bind(self, counts: Counts, empty_cells: str = "error") -> BoundObjective:
        """Tie the objective to classes and groups.

        Parameters
        ----------
        counts
            Examples per cell of the data the objective will be computed on.
        empty_cells
            ``"error"`` refuses data in which a cell that the objective averages over is empty;
            ``"drop"`` leaves such cells out. They never count as 0.

        Raises
        ------
        ObjectiveError
            If groups, a positive class or costs are needed and not there, or a needed cell is
            empty.
        """
        if empty_cells not in ("error", "drop"):
            raise ObjectiveError(f"empty_cells is {empty_cells!r}; use 'error' or 'drop'")
        names = [name for name, _ in self.terms]
        for name in names:
            if name in DIFFERENCES and counts.multilabel:
                raise ObjectiveError(
                    f"objective {name!r} would compare labels with one another; choose "
                    "group-balanced, the mean over labels and outcomes, or worst-group"
                )
            if name in DIFFERENCES and counts.n_groups < 2:
                raise ObjectiveError(
                    f"objective {name!r} compares groups but the data has "
                    f"{'no' if counts.groups is None else 'only one'} group; "
                    "name a group column (sensitive_features, --group) or choose another objective"
                )
        if self.about_costs and self.costs is None:
            raise ObjectiveError(
                "objective 'cost' needs what decisions cost; give the matrix (costs, --costs)"
            )
        positive = self._positive_index(counts) if "equal-opportunity" in names else None
        empty = np.argwhere(self.lacking(counts.present, positive))
        if len(empty) and empty_cells == "error":
            k, j = (int(index) for index in empty[0])
            others = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
            raise ObjectiveError(
                f"objective {str(self)!r} needs {counts.cell_name(k, j)}{others}, which has no "
                "example; leave empty cells out with empty_cells='drop' (--empty-cells drop)"
            )
        costs = None if self.costs is None else self.costs.bind(counts)
        return BoundObjective(self, counts.present.copy(), positive, empty_cells, costs)

    def lacking(self, present: Bool[ndarray, "K G"], positive: int | None) -> Bool[ndarray, "K G"]:
        """Cells that the objective averages or compares and that are not ``present``."""
        names = {name for name, _ in self.terms}
        needed = np.zeros(present.shape, dtype=bool)
        if names & {"group-balanced", "worst-group", "equalized-odds"}:
            needed[:] = True
        if names & {"balanced", "worst-class", COST}:
            needed[~present.any(axis=1)] = True
        if positive is not None:
            needed[positive] = True
        return np.asarray(needed & ~present)

    def _positive_index(self, counts: Counts) -> int:
        if self.positive_class is None:
            if counts.n_classes == 2:
                return 1
            raise ObjectiveError(
                f"objective 'equal-opportunity' needs a positive class among the "
                f"{counts.n_classes} classes; name it (positive_class, --positive-class)"
            )
        if self.positive_class not in counts.classes:
            raise ObjectiveError(
                f"the positive class {label_text(self.positive_class)!r} is not among the classes "
                f"{', '.join(label_text(label) for label in counts.classes[:10])}"
            )
        return counts.classes.index(self.positive_class)


def positive_label(text: str, counts: Counts) -> Label:
    """The class that a user named by its text.

    Raises
    ------
    ObjectiveError
        If there is none of that name.
    """
    for label in counts.classes:
        if label_text(label) == text:
            return label
    names = ", ".join(repr(label_text(label)) for label in counts.classes[:20])
    raise ObjectiveError(f"the positive class {text!r} is not among the classes; they are {names}")
