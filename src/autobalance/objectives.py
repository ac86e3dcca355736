"""What a search optimises: blends of cell risks, and their twins in error rates.

From the risk L[k, j] of each (class, group) cell, the mean loss over its examples, come

========================  ==================================================================
``error``                 Σ π[k, j] L[k, j], the plain mean over examples
``balanced``              mean over classes of the class risk L[k] = Σ_j π[j | k] L[k, j]
``group-balanced``        mean over the cells
``worst-class``           max_k L[k]
``worst-group``           max over the cells
``equal-opportunity``     max_j L[+, j] − min_j L[+, j] for the positive class +
``equalized-odds``        Σ_k (max_j L[k, j] − min_j L[k, j]), for two groups eq. 4.1 of the paper
========================  ==================================================================

and any weighted sum, written ``0.1*error+0.9*equalized-odds`` (R objectives, appendix C). Searching
uses cross-entropy as the loss; reporting uses the same formulas on error rates.

Where errors of different kinds cost differently there is ``cost``, the mean over examples of what
their decisions cost (:mod:`autobalance.costs`). It stands alone: costs have a unit of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Real
from numpy import ndarray
from torch import Tensor

from autobalance.costs import BoundCosts, Costs
from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.labels import Label, label_from_json, label_text, label_to_json

Maximum = Callable[[Tensor, Tensor], Tensor]
"""Maximum over the last dimension of what is present, exact or smooth."""

OBJECTIVES = (
    "error",
    "balanced",
    "group-balanced",
    "worst-class",
    "worst-group",
    "equal-opportunity",
    "equalized-odds",
)
"""Objectives about error rates."""
COST = "cost"
_NAMES = (*OBJECTIVES, COST)
_DIFFERENCES = ("equal-opportunity", "equalized-odds")
_BY_GROUP = ("group-balanced", "worst-group", *_DIFFERENCES)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*(?:(?P<scale>{_NUMBER})\s*\*\s*)?(?P<name>[A-Za-z][A-Za-z-]*)\s*")

_NO_STAKE = 1e-9
DEFAULT_SHARPNESS = 20.0
"""Sharpness κ of the smooth maximum, per unit of cross-entropy: differences of 1/κ = 0.05 count."""


def smooth_maximum(
    values: Float[Tensor, "*rows M"],
    sharpness: float,
    present: Bool[Tensor, "*rows M"] | None = None,
) -> Float[Tensor, "*rows"]:
    """Soft maximum (1/κ) log mean exp(κ v): smooth, at most max v, and v itself for equal values.

    For two values, ``smooth_maximum(v) + smooth_maximum(-v)`` is (2/κ) log cosh(κ (v₁ − v₂)/2), a
    smooth absolute difference that is 0 at equality. Values that are not ``present`` do not count.
    """
    if present is None:
        present = torch.ones(values.shape, dtype=torch.bool)
    scaled = torch.where(present, sharpness * values, -torch.inf)
    return (torch.logsumexp(scaled, -1) - torch.log(present.sum(-1).to(values))) / sharpness


@dataclass(frozen=True)
class Objective:
    """A weighted sum of named objectives, not yet tied to any data.

    Parameters
    ----------
    terms
        Pairs (name, scale) with names from :data:`OBJECTIVES`, or ``cost`` alone, and positive
        scales.
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
            if match is None or match["name"] not in _NAMES:
                found = match["name"] if match else text[position:].strip() or "nothing"
                raise ObjectiveError(
                    f"objective {text!r}: {found!r} is not one of {', '.join(_NAMES)}; "
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
        return any(name in _BY_GROUP for name, _ in self.terms)

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
            if name in _DIFFERENCES and counts.multilabel:
                raise ObjectiveError(
                    f"objective {name!r} would compare labels with one another; choose "
                    "group-balanced, the mean over labels and outcomes, or worst-group"
                )
            if name in _DIFFERENCES and counts.n_groups < 2:
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


@dataclass(frozen=True)
class BoundObjective:
    """An objective tied to K classes and G groups; made by :meth:`Objective.bind`.

    ``present`` is the boolean (K, G) mask of cells that exist in the data: the others never enter.
    ``empty_cells`` says what becomes of cells that exist but are not held out. With ``costs``, the
    risks of cells are of losses in units of the mean stake when searching, and mean costs when
    reporting.
    """

    objective: Objective
    present: Bool[ndarray, "K G"]
    positive: int | None = None
    empty_cells: str = "error"
    costs: BoundCosts | None = None
    _mask: Bool[Tensor, "K G"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mask", torch.from_numpy(self.present))

    def on_held_out(self, seen: Bool[ndarray, "K G"], counts: Counts) -> BoundObjective:
        """The objective on the cells of which some example is held out, the mask ``seen``.

        Raises
        ------
        ObjectiveError
            If a cell that it needs is never held out and ``empty_cells`` is ``"error"``.
        """
        lacking = np.argwhere(self.objective.lacking(seen, self.positive) & self.present)
        if len(lacking) and self.empty_cells == "error":
            k, j = (int(index) for index in lacking[0])
            raise ObjectiveError(
                f"objective {str(self.objective)!r} needs {counts.cell_name(k, j)}, of which no "
                "example is held out; use folds or another splitter, or leave such cells out with "
                "empty_cells='drop' (--empty-cells drop)"
            )
        return self.among(seen)

    def among(self, cells: Bool[ndarray, "K G"]) -> BoundObjective:
        """The objective on those of its cells that are marked."""
        return replace(self, present=self.present & cells)

    def risk(
        self,
        cells: Float[Tensor, "K G"],
        frequencies: Float[Tensor, "K G"],
        sharpness: float | None = DEFAULT_SHARPNESS,
    ) -> Float[Tensor, ""]:
        """The objective of cell risks, differentiable; ``sharpness=None`` gives exact maxima."""
        maximum = _exact_maximum if sharpness is None else _smooth(sharpness)
        frequencies = torch.where(self._mask, frequencies, 0)
        frequencies = frequencies / frequencies.sum()
        total = cells.new_zeros(())
        for name, scale in self.objective.terms:
            total = total + scale * self._term(name, cells, frequencies, maximum)
        return total

    def error(
        self, cell_errors: Float[ndarray, "K G"], frequencies: Float[ndarray, "K G"]
    ) -> float:
        """The error-rate twin: the same formula on error rates or mean costs, with exact maxima.

        Cells that are NaN in ``cell_errors`` (no test example) are left out like absent ones.
        """
        present = self.present & np.isfinite(cell_errors)
        bound = replace(self, present=present)
        cells = torch.from_numpy(np.where(present, cell_errors, 0.0))
        return float(bound.risk(cells, torch.from_numpy(np.asarray(frequencies)), None))

    def decision_losses(
        self, y: Integer[ndarray, "N"], decided: Integer[ndarray, "N"]
    ) -> Float[ndarray, "N"]:
        """What each decision counts, as reported: 1 if it is wrong, or what it costs."""
        if self.costs is not None:
            return self.costs.of_decisions(y, decided)
        return np.asarray(decided != y, dtype=np.float64)

    def calibration_weights(self, frequencies: Float[Tensor, "K G"]) -> Float[Tensor, "K G"]:
        """Weights over cells of the cross-entropy that fixes the held-out temperature.

        The linear terms of the objective weigh cells as they do in it; a maximum or a difference,
        which a temperature of 0 would make vanish, weighs all present cells alike.
        """
        frequencies = torch.where(self._mask, frequencies, 0)
        uniform = self._mask.to(frequencies) / self._mask.sum()
        weights = torch.zeros_like(frequencies)
        for name, scale in self.objective.terms:
            if name == "error":
                part = frequencies / frequencies.sum()
            elif name == COST:  # where nothing is at stake, examples weigh alike
                part = frequencies * self._stakes.clamp_min(_NO_STAKE)
                part = part / part.sum()
            elif name == "balanced":
                part = _share_within(frequencies, 1) / self._mask.any(1).sum()
            else:
                part = uniform
            weights = weights + scale * part
        return weights / weights.sum()

    def rarest_cell(self, examples: Real[ndarray, "K G"]) -> float:
        """Examples of the rarest cell whose mean loss the objective takes.

        These are classes for balanced, worst-class and cost, cells for what is taken by group,
        those of the positive class for equal-opportunity, and all examples together for the plain
        error.

        Parameters
        ----------
        examples
            Effective number of examples of each cell.
        """
        examples = np.where(self.present, examples, 0.0)
        per_class = examples.sum(axis=1)
        rarest: float = np.inf
        for name, _ in self.objective.terms:
            if name == "error":
                taken = examples.sum()
            elif name in ("balanced", "worst-class"):
                taken = per_class[self.present.any(axis=1)]
            elif name == COST:
                staked = self._stakes.numpy()[:, 0] > 0
                taken = per_class[self.present.any(axis=1) & staked]
            elif name == "equal-opportunity":
                taken = examples[self.positive or 0][self.present[self.positive or 0]]
            else:
                taken = examples[self.present]
            rarest = min(rarest, float(np.min(taken)))
        return rarest

    def estimation_variance(
        self, examples: Float[ndarray, "K G"], frequencies: Float[ndarray, "K G"]
    ) -> float:
        """Variance of the objective's estimate when an example's loss has variance 1.

        With costs it has the square of its class's stake, which is 1 on average.

        A mean over cells is as uncertain as its cells together; a maximum may come to rest on its
        rarest cell, and a difference on the two rarest, so these are counted as if they did. The
        scales of a sum enter as if its terms erred together, relative to their total.

        Parameters
        ----------
        examples
            Effective number of examples of each cell.
        frequencies
            Share of each cell.
        """
        inverse = np.where(self.present & (examples > 0), 1 / np.maximum(examples, 1e-300), 0.0)
        shares = _share_within(
            torch.from_numpy(np.where(self.present, frequencies, 0.0)), 1
        ).numpy()
        by_class = (shares**2 * inverse).sum(axis=1)
        two_rarest = np.sort(inverse, axis=1)[:, -2:].sum(axis=1)
        staked = frequencies * self._stakes.numpy()
        variances = {
            "error": float((frequencies**2 * inverse).sum() / frequencies.sum() ** 2),
            COST: float((staked**2 * inverse).sum() / frequencies.sum() ** 2),
            "balanced": float(by_class.sum() / self.present.any(axis=1).sum() ** 2),
            "worst-class": float(by_class.max()),
            "group-balanced": float(inverse.sum() / self.present.sum() ** 2),
            "worst-group": float(inverse.max()),
            "equal-opportunity": float(two_rarest[self.positive or 0]),
            "equalized-odds": float(two_rarest.sum()),
        }
        terms = self.objective.terms
        deviation: float = sum(scale * np.sqrt(variances[name]) for name, scale in terms)
        return deviation**2 / sum(scale for _, scale in terms)

    @property
    def _stakes(self) -> Float[Tensor, "K 1"]:
        """Of each class; all 1 without costs."""
        if self.costs is None:
            return torch.ones(len(self.present), 1, dtype=torch.float64)
        return torch.from_numpy(self.costs.stakes)[:, None]

    def _term(
        self,
        name: str,
        cells: Float[Tensor, "K G"],
        frequencies: Float[Tensor, "K G"],
        maximum: Maximum,
    ) -> Float[Tensor, ""]:
        mask = self._mask
        if name in ("error", COST):
            return (frequencies * torch.where(mask, cells, 0)).sum()
        if name in ("balanced", "worst-class"):
            inside = torch.where(mask, cells, 0)
            classes = (_share_within(frequencies, 1) * inside).sum(1)[mask.any(1)]
            return classes.mean() if name == "balanced" else maximum(classes, _all(classes))
        if name == "group-balanced":
            return cells[mask].mean()
        if name == "worst-group":
            return maximum(cells[mask], _all(cells[mask]))
        rows = mask.any(1)
        if name == "equal-opportunity":
            rows = rows & (torch.arange(len(mask)) == self.positive)
        present = mask[rows]
        return (maximum(cells[rows], present) + maximum(-cells[rows], present)).sum()


def _exact_maximum(
    values: Float[Tensor, "*rows M"], present: Bool[Tensor, "*rows M"]
) -> Float[Tensor, "*rows"]:
    return torch.where(present, values, -torch.inf).amax(-1)


def _smooth(sharpness: float) -> Maximum:
    return lambda values, present: smooth_maximum(values, sharpness, present)


def _all(values: Float[Tensor, "M"]) -> Bool[Tensor, "M"]:
    return torch.ones(values.shape, dtype=torch.bool)


def _share_within(frequencies: Float[Tensor, "K G"], dim: int) -> Float[Tensor, "K G"]:
    return frequencies / frequencies.sum(dim, keepdim=True).clamp_min(
        torch.finfo(frequencies.dtype).tiny
    )
