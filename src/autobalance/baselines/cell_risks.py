"""Linear heads trained on any objective of their training cell risks, side by side.

For every head f, with L_f[k, j] the mean cross-entropy over its training examples of class k and
group j, of their logits z or of z as a design adjusts them, δ[:, j] ⊙ z + l[:, j], minimise

    φ(L_f) + μ/2 ‖W_f‖² + μ₀/2 ‖b_f‖²

by L-BFGS on all examples at once. The gradient is that of cross-entropy with the weight of a cell's
examples set to ∂φ/∂L[k, j] at the present risks, so that two passes over the features give it for
any φ; weights may be negative, and φ need not be convex. Intercepts are penalised as in
:mod:`autobalance.search.heads`; plain cross-entropy keeps their sum at 0 by itself, and with a
design (Σ_k b_fk)² / 2K is added, as there.

On features rotated to their principal axes the Hessian is nearly diagonal: each column is scaled
by the inverse root of the curvature that cross-entropy has there at even probabilities.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from autobalance.data.features import FeatureMatrix
from autobalance.design import LossDesign
from autobalance.search.heads import INTERCEPT_RIDGE

_MAX_ITERATIONS = 1000
_MEMORY = 20
_OUT_OF_ITERATIONS = 1
_TOLERANCES = {torch.float32: 1e-7, torch.float64: 1e-13}
"""Relative decrease of the loss that ends training, by the dtype of the features."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingCells:
    """What one head trains on: the number and the share of its examples in each cell.

    With sample weights the number is the effective one, (Σw)²/Σw².
    """

    examples: Float[Tensor, "K G"]
    frequencies: Float[Tensor, "K G"]

    @property
    def present(self) -> Bool[ndarray, "K G"]:
        """Cells with an example."""
        return np.asarray((self.examples > 0).numpy())


RiskObjective = Callable[[Float[Tensor, "K G"], TrainingCells], Float[Tensor, ""]]
"""φ: from the cell risks of one head to its training loss, differentiable."""


def train_on_cell_risks(
    features: FeatureMatrix,
    target: Int[Tensor, "N"],
    group: Int[Tensor, "N"],
    train_weight: Float[Tensor, "F N"],
    shape: tuple[int, int],
    objective: RiskObjective,
    ridge: float,
    start: Float[Tensor, "F K E"] | None = None,
    design: LossDesign | None = None,
) -> Float[Tensor, "F K E"]:
    """Train a head for every row of ``train_weight``.

    Parameters
    ----------
    features
        N examples; passes run in the dtype they are kept in.
    target, group
        Codes of class and group.
    train_weight
        Weights of each head's training examples, each row summing to 1.
    shape
        K and G.
    objective
        φ.
    ridge
        μ.
    start
        Where to begin; 0 by default.
    design
        Its l and δ adjust the logits; its w is not used, since φ weighs the cells. Without one the
        cross-entropy is plain.
    """
    problem = _CellRiskProblem(features, target, group, train_weight, shape, objective, design)
    penalty = torch.full((features.shape[1],), ridge, dtype=torch.float64)
    penalty[-1] = INTERCEPT_RIDGE
    scale = (problem.curvature + penalty).rsqrt()
    size = (len(train_weight), shape[0], features.shape[1])
    first = torch.zeros(size, dtype=torch.float64) if start is None else start

    def loss(point: Float[ndarray, "P"]) -> tuple[float, Float[ndarray, "P"]]:
        theta = torch.from_numpy(point).reshape(size) * scale
        value, gradient = problem.value_and_gradient(theta)
        value += float((penalty * theta**2).sum()) / 2
        gradient += penalty * theta
        if design is not None:
            mean = theta[..., -1:].mean(1, keepdim=True)
            value += float((mean**2).sum()) * shape[0] / 2
            gradient[..., -1:] += mean
        return value, (gradient * scale).numpy().ravel()

    outcome = minimize(
        loss,
        (first / scale).numpy().ravel(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": _MAX_ITERATIONS,
            "maxfun": 2 * _MAX_ITERATIONS,
            "maxcor": _MEMORY,
            "ftol": _TOLERANCES[features.values.dtype],
            "gtol": 1e-9,
        },
    )
    if outcome.status == _OUT_OF_ITERATIONS:
        logger.warning("training stopped at its limit of iterations at ridge %.1e", ridge)
    return torch.from_numpy(outcome.x).reshape(size) * scale


class _CellRiskProblem:
    """Σ_f φ(L_f) and its gradient in θ."""

    def __init__(
        self,
        features: FeatureMatrix,
        target: Int[Tensor, "N"],
        group: Int[Tensor, "N"],
        train_weight: Float[Tensor, "F N"],
        shape: tuple[int, int],
        objective: RiskObjective,
        design: LossDesign | None = None,
    ) -> None:
        self._features, self._target, self._objective = features, target, objective
        self._group = group
        self._additive = _table(0.0 if design is None else design.additive, shape)
        self._multiplicative = _table(1.0 if design is None else design.multiplicative, shape)
        self._shape = (len(train_weight), *shape)
        self._cell = target * shape[1] + group
        totals, squares = self._by_cell(train_weight), self._by_cell(train_weight**2)
        tiny = torch.finfo(totals.dtype).tiny
        self._share = train_weight / totals.clamp_min(tiny)[:, self._cell]
        self._cells = [
            TrainingCells(examples.reshape(shape), share.reshape(shape))
            for examples, share in zip(
                totals**2 / squares.clamp_min(tiny),
                totals / totals.sum(1, keepdim=True),
                strict=True,
            )
        ]
        ones = torch.ones(1, 1, len(target), dtype=features.values.dtype)
        columns = [features.pull_back_squares(ones[..., part], part) for part in features.chunks]
        evenly = (1 - 1 / shape[0]) / shape[0]
        self.curvature = evenly * torch.stack(columns).double().sum((0, 1, 2)) / len(target)

    def _by_cell(self, values: Float[Tensor, "F N"]) -> Float[Tensor, "F C"]:
        sums = values.new_zeros(len(values), self._shape[1] * self._shape[2])
        return sums.index_add(1, self._cell, values)

    def value_and_gradient(
        self, theta: Float[Tensor, "F K E"]
    ) -> tuple[float, Float[Tensor, "F K E"]]:
        features, narrow = self._features, theta.to(self._features.values.dtype)
        losses = torch.empty_like(self._share)
        slopes = torch.empty(*self._shape[:2], len(self._target), dtype=torch.float64)
        for part in features.chunks:
            group = self._group[part]
            additive, factor = self._additive[:, group], self._multiplicative[:, group]
            log_q = torch.log_softmax(factor * features.logits(narrow, part).double() + additive, 1)
            own = self._target[part].expand(len(theta), 1, -1)
            losses[:, part] = -log_q.gather(1, own)[:, 0]
            slopes[..., part] = factor * log_q.exp_().scatter_add_(1, own, -torch.ones_like(log_q))
        risks = self._by_cell(self._share * losses).reshape(self._shape).requires_grad_()
        value = torch.stack(
            [self._objective(*pair) for pair in zip(risks, self._cells, strict=True)]
        ).sum()
        (price,) = torch.autograd.grad(value, risks)
        slopes *= (self._share * price.flatten(1)[:, self._cell])[:, None]
        gradient = torch.zeros_like(theta)
        for part in features.chunks:
            gradient += features.pull_back(slopes[..., part].to(narrow.dtype), part)
        return float(value.detach()), gradient


def _table(values: Float[ndarray, "K G"] | float, shape: tuple[int, int]) -> Float[Tensor, "K G"]:
    return torch.from_numpy(np.broadcast_to(np.asarray(values, np.float64), shape).copy())
