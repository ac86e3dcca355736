"""The held-out objective: from logits of held-out examples to one differentiable number.

The temperature is profiled out first: logits are multiplied by the s = 1/T that minimises the
held-out cross-entropy (weighted over cells as the objective's linear terms weigh them, evenly
otherwise). Only then can a design not seem better by having the right scale of logits, which says
nothing about its errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autobalance.objectives import BoundObjective

_SCALE_RANGE = (1e-3, 1e3)
_MAX_STEPS = 60
_PRECISION = 1e-12


@dataclass(frozen=True)
class HeldOutValue:
    """Objective (smooth), cell risks after the temperature (K, G), and the temperature."""

    objective: Float[Tensor, ""]
    risks: Float[Tensor, "K G"]
    temperature: float


class HeldOutRisk:
    """Held-out cell risks and the objective built from them.

    Parameters
    ----------
    target, group
        Codes of the M held-out examples.
    example_weight
        Their weights, shape (M,).
    objective
        Bound to the K classes and G groups.
    sharpness
        Sharpness of the smooth maxima.
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
        *,
        sharpness: float,
        profile_temperature: bool = True,
    ) -> None:
        shape = objective.present.shape
        self.target = target
        self.objective = objective
        self.sharpness = sharpness
        self.profile_temperature = profile_temperature
        self._shape = (shape[0], shape[1])
        self._cell = target * shape[1] + group
        totals = torch.bincount(self._cell, weights=example_weight, minlength=objective.present.size)
        self.frequencies = (totals / totals.sum()).reshape(self._shape)
        self._share = example_weight / totals[self._cell]
        weights = objective.calibration_weights(self.frequencies).reshape(-1)
        self._calibration = self._share * weights[self._cell]
        self.effective_examples = 1.0 / float((self._calibration**2).sum())

    def cell_means(self, values: Float[Tensor, "M"]) -> Float[Tensor, "K G"]:
        """Weighted mean of a value per example within each cell, 0 where a cell is empty."""
        flat = torch.zeros(self._shape[0] * self._shape[1], dtype=values.dtype)
        return flat.index_add(0, self._cell, self._share.to(values.dtype) * values).reshape(
            self._shape
        )

    def cell_errors(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, "K G"]:
        """Error rate of each cell when the plain logits decide."""
        return self.cell_means((logits.argmax(1) != self.target).double())

    def __call__(self, logits: Float[Tensor, "M K"]) -> HeldOutValue:
        """Objective of these held-out logits, differentiable in them, temperature included."""
        scale = self._profiled_scale(logits) if self.profile_temperature else logits.new_ones(())
        losses = torch.nn.functional.cross_entropy(scale * logits, self.target, reduction="none")
        risks = self.cell_means(losses)
        value = self.objective.risk(risks, self.frequencies, self.sharpness)
        return HeldOutValue(value, risks, 1.0 / float(scale.detach()))

    def _slopes(
        self, logits: Float[Tensor, "M K"], scale: Tensor
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """First and second derivative in s of the calibrating cross-entropy at s·z."""
        q = torch.softmax(scale * logits, 1)
        mean = (q * logits).sum(1)
        own = logits.gather(1, self.target[:, None])[:, 0]
        variance = (q * (logits - mean[:, None]) ** 2).sum(1)
        return (self._calibration * (mean - own)).sum(), (self._calibration * variance).sum()

    def _profiled_scale(self, logits: Float[Tensor, "M K"]) -> Float[Tensor, ""]:
        """The best s, by Newton's method (the cross-entropy is convex in s).

        The last step is taken with the graph attached: at the optimum it moves nothing, and its
        derivative is that of the implicit function, ds/dz = −(∂²C/∂s∂z) / (∂²C/∂s²).
        """
        fixed = logits.detach()
        low, high = _SCALE_RANGE
        scale = fixed.new_ones(())
        for _ in range(_MAX_STEPS):
            slope, curvature = self._slopes(fixed, scale)
            if float(curvature) <= 0:
                return scale
            step = scale - slope / curvature
            moved = torch.minimum(torch.maximum(step, scale / 4), scale * 4).clamp(low, high)
            done = bool((moved - scale).abs() <= _PRECISION * scale)
            scale = moved
            if done:
                break
        if float(scale) in _SCALE_RANGE:
            return scale
        slope, curvature = self._slopes(logits, scale)
        return scale - slope / curvature.detach()
