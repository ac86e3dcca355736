"""The held-out objective: from logits of held-out examples to one differentiable number.

An example's loss is by default a smooth error rate, 1 − softmax(2 s z)_y: the logits are calibrated
by the temperature 1/s, and twice as sharp they are near the decision that an error rate sees. The
paper takes the cross-entropy, −log softmax(s z)_y, which goes on to reward confidence in examples
that are right already; a linear head that cannot fit its classes pays for that with errors.

Both are cases of what a decision costs (:mod:`autobalance.costs`). With the stake s_y of the true
class and the credit A[y, k] of deciding k, which is 1 for k = y and else 0 if all errors cost the
same, they are

    s_y (1 − Σ_k A[y, k] softmax(2 s z)_k)    and    −s_y log Σ_k A[y, k] softmax(s z)_k,

the expected cost of a decision drawn from the softmax, and a bound on it that goes on to reward.

The temperature is profiled out first: logits are multiplied by the s = 1/T that minimises the
held-out cross-entropy (weighted over cells as the objective's linear terms weigh them, evenly
otherwise). Only then can a design not seem better by having the right scale of logits, which says
nothing about its errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from numpy import ndarray
from torch import Tensor

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.objectives import BoundObjective
from autobalance.search.constraints import AugmentedLagrangian, BoundConstraint
from autobalance.search.folds import Folds

HELD_OUT_LOSSES = ("error", "cross-entropy")
_SHARPER = 2.0
_SCALE_RANGE = (1e-3, 1e3)
_MAX_STEPS = 60
_PRECISION = 1e-9


@dataclass(frozen=True)
class HeldOutValue:
    """What a set of held-out logits is worth.

    ``total`` is what a search minimises: the ``objective``, with smooth maxima, and the penalty for
    constraints. ``risks`` are the cells' mean losses after the ``temperature``; ``violation`` is
    the largest excess over a limit.
    """

    total: Float[Tensor, ""]
    objective: Float[Tensor, ""]
    risks: Float[Tensor, "K G"]
    temperature: float
    violation: float


class HeldOutRisk:
    """Held-out cell risks and the objective built from them.

    Logits may lie on any device, where all that has their size is computed; the rest is on the CPU.

    Parameters
    ----------
    target, group
        Codes of the M held-out examples.
    example_weight
        Their weights, shape (M,).
    objective
        Bound to the K classes and G groups.
    constraints
        Limits on other objectives.
    row
        Which example each of the M is, where some validate more than once: repetitions share the
        weight of their example and count as one observation. By default all are distinct.
    sharpness
        Sharpness of the smooth maxima, per unit of loss.
    loss
        ``"error"`` for the smooth error rate, or ``"cross-entropy"``.
    profile_temperature
        Fit one temperature before taking the risks (default), or take the logits as they are (as
        the paper does).
    """

    def __init__(
        self,
        target: Int[Tensor, "M"],
        group: Int[Tensor, "M"],
        example_weight: Float[Tensor, "M"],
        objective: BoundObjective,
        constraints: Sequence[BoundConstraint] = (),
        *,
        row: Int[Tensor, "M"] | None = None,
        sharpness: float,
        loss: str = "cross-entropy",
        profile_temperature: bool = True,
    ) -> None:
        if loss not in HELD_OUT_LOSSES:
            raise DataError(f"held_out_loss is {loss!r}; use {' or '.join(HELD_OUT_LOSSES)}")
        self._smooth_error = loss == "error"
        shape = objective.present.shape
        self.target = target
        self.objective = objective
        self.sharpness = sharpness
        self.constrained = len(constraints) > 0
        self._lagrangian = AugmentedLagrangian(constraints, sharpness)
        self.profile_temperature = profile_temperature
        self._shape = (shape[0], shape[1])
        self._cell = target * shape[1] + group
        size = objective.present.size
        row = torch.arange(len(target)) if row is None else row
        _, self._example, repeats = torch.unique(row, return_inverse=True, return_counts=True)
        self._cell_of_example = torch.zeros(len(repeats), dtype=torch.long)
        self._cell_of_example[self._example] = self._cell
        often = repeats[self._example].to(example_weight)
        example_weight = example_weight / often
        totals = torch.bincount(self._cell, weights=example_weight, minlength=size)
        self.frequencies = (totals / totals.sum()).reshape(self._shape)
        self._share = example_weight / totals[self._cell]
        weights = objective.calibration_weights(self.frequencies).reshape(-1)
        self._calibration = self._share * weights[self._cell]
        squares = torch.bincount(self._cell, weights=often * example_weight**2, minlength=size)
        effective = (totals**2 / squares.clamp_min(torch.finfo(squares.dtype).tiny)).reshape(
            self._shape
        )
        self.variance = objective.estimation_variance(effective.numpy(), self.frequencies.numpy())

    @classmethod
    def of_folds(
        cls,
        y: Integer[ndarray, "N"],
        g: Integer[ndarray, "N"],
        sample_weight: Float[ndarray, "N"],
        folds: Folds,
        objective: BoundObjective,
        counts: Counts,
        constraints: Sequence[BoundConstraint] = (),
        *,
        sharpness: float,
        loss: str,
        profile_temperature: bool,
    ) -> HeldOutRisk:
        """For the examples that validate in the folds, in the order of ``folds.row``.

        Raises
        ------
        ObjectiveError
            If a cell that the objective needs is never held out.
        """
        row = folds.row
        seen = np.zeros(counts.values.shape, dtype=bool)
        seen[y[row], g[row]] = True
        return cls(
            torch.from_numpy(y[row]).long(),
            torch.from_numpy(g[row]).long(),
            torch.from_numpy(sample_weight[row]),
            objective.on_held_out(seen, counts),
            [constraint.on_held_out(seen, counts) for constraint in constraints],
            row=torch.from_numpy(row),
            sharpness=sharpness,
            loss=loss,
            profile_temperature=profile_temperature,
        )

    def cell_means(self, values: Float[Tensor, "M"]) -> Float[Tensor, "K G"]:
        """Weighted mean of a value per example within each cell, 0 where a cell is empty."""
        flat = torch.zeros(self._shape[0] * self._shape[1], dtype=values.dtype)
        return flat.index_add(0, self._cell, self._share.to(values.dtype) * values).reshape(
            self._shape
        )

    def of_cells(self, values: Float[Tensor, "K G"]) -> Float[Tensor, "M"]:
        """For each example the value of its cell."""
        return values.reshape(-1)[self._cell]

    def cell_errors(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, "K G"]:
        """Error rate of each cell when the plain logits decide."""
        return self.cell_means((logits.argmax(1).cpu() != self.target).double())

    def cell_variances_of_mean(self, values: Float[Tensor, "M"]) -> Float[Tensor, "K G"]:
        """Squared standard error of each cell's mean of a value per example."""
        deviation = values - self.of_cells(self.cell_means(values))
        by_example = values.new_zeros(len(self._cell_of_example))
        by_example = by_example.index_add(0, self._example, self._share * deviation)
        flat = values.new_zeros(self._shape[0] * self._shape[1])
        return flat.index_add(0, self._cell_of_example, by_example**2).reshape(self._shape)

    def example_losses(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, "M"]:
        """Loss of each example after the temperature."""
        return self._losses(self._scale(logits) * logits)

    def _losses(self, scaled: Float[Tensor, "M K"]) -> Float[Tensor, "M"]:
        sharper = _SHARPER * scaled if self._smooth_error else scaled
        log_losses = self._log_losses(sharper)
        losses = -torch.expm1(-log_losses) if self._smooth_error else log_losses
        costs = self.objective.costs
        if costs is None:
            return losses
        return torch.from_numpy(costs.stakes)[self.target].to(losses) * losses

    def _log_losses(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, "M"]:
        """−log of the credit that a decision drawn from the softmax can expect."""
        costs = self.objective.costs
        if costs is None:  # credit for the true class alone
            return self._cross_entropies(logits)
        credits = torch.from_numpy(costs.credits).log()[self.target].to(logits)
        return -torch.logsumexp(torch.log_softmax(logits, 1) + credits, 1).cpu()

    def _cross_entropies(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, "M"]:
        target = self.target.to(logits.device)
        return torch.nn.functional.cross_entropy(logits, target, reduction="none").cpu()

    def objective_of(self, risks: Float[Tensor, "K G"]) -> Float[Tensor, ""]:
        """The objective of cell risks, with smooth maxima."""
        return self.objective.risk(risks, self.frequencies, self.sharpness)

    def __call__(self, logits: Float[Tensor, "M K"]) -> HeldOutValue:
        """Objective of these held-out logits, differentiable in them, temperature included."""
        scale = self._scale(logits)
        risks = self.cell_means(self._losses(scale * logits))
        value = self.objective_of(risks)
        return HeldOutValue(
            value + self._lagrangian.term(risks, self.frequencies),
            value,
            risks,
            1.0 / float(scale.detach()),
            self._lagrangian.violation(risks.detach(), self.frequencies),
        )

    def _scale(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, ""]:
        return self._profiled_scale(logits) if self.profile_temperature else logits.new_ones(())

    def calibration_loss(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, ""]:
        """The cross-entropy, weighted over cells, that the temperature minimises."""
        return (self._calibration * self._cross_entropies(logits)).sum()

    def sharpen(self, risks: Float[Tensor, "K G"]) -> None:
        """Raise the price of the constraints that these risks break."""
        self._lagrangian.update(risks, self.frequencies)

    def _slopes(
        self, logits: Float[Tensor, "M K"], scale: Tensor
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """First and second derivative in s of the calibrating cross-entropy at s·z."""
        q = torch.softmax(scale * logits, 1)
        mean = (q * logits).sum(1)
        own = logits.gather(1, self.target.to(logits.device)[:, None])[:, 0]
        variance = (q * (logits - mean[:, None]) ** 2).sum(1)
        slope, curvature = (mean - own).cpu(), variance.cpu()
        return (self._calibration * slope).sum(), (self._calibration * curvature).sum()

    def _profiled_scale(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, ""]:
        """The best s, by Newton's method within a bracket (the cross-entropy is convex in s).

        The last step is taken with the graph attached: at the optimum it moves nothing, and its
        derivative is that of the implicit function, ds/dz = −(∂²C/∂s∂z) / (∂²C/∂s²).
        """
        fixed = logits.detach()
        low, high = _SCALE_RANGE
        below, above = low, high
        scale = 1.0
        for _ in range(_MAX_STEPS):
            slope, curvature = map(float, self._slopes(fixed, _number(scale, fixed)))
            below, above = (below, scale) if slope > 0 else (scale, above)
            if slope == 0:
                break
            newton = scale - slope / curvature if curvature > 0 else math.nan
            moved = min(max(newton, low), high)
            if not below <= moved <= above:  # so also for NaN
                moved = math.sqrt(below * above)
            done = abs(moved - scale) <= _PRECISION * scale
            scale = moved
            if done:
                break
        best = _number(scale, fixed)
        gradient, second = self._slopes(logits, best)
        if scale in _SCALE_RANGE or float(second.detach()) <= 0:
            return best
        return torch.sub(best, gradient / second.detach())


def _number(value: float, like: Tensor) -> Float[Tensor, ""]:
    # on the CPU: a tensor without dimensions goes with tensors of any device
    return torch.tensor(value, dtype=like.dtype)
