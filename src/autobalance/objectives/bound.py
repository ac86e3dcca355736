"""An objective of K classes and G groups, as a risk that can be minimised and as an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Real
from numpy import ndarray
from torch import Tensor

from autobalance.costs import BoundCosts
from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.objectives.names import COST

if TYPE_CHECKING:
    from autobalance.objectives.objective import Objective

Maximum = Callable[[Tensor, Tensor], Tensor]
"""Maximum over the last dimension of what is present, exact or smooth."""

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
