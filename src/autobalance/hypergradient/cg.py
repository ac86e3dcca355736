"""Preconditioned conjugate gradients for several independent systems at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class LinearSolution(NamedTuple):
    """Solutions with the relative residual of each system and the iterations of the slowest."""

    value: Float[Tensor, "F *shape"]
    residual: Float[Tensor, "F"]
    iterations: int


def conjugate_gradient(
    operator: Callable[[Tensor], Tensor],
    right: Float[Tensor, "F *shape"],
    preconditioner: Callable[[Tensor], Tensor],
    tolerance: float,
    max_iterations: int = 1000,
) -> LinearSolution:
    """Solve ``operator(x) = right`` for F symmetric positive definite systems side by side.

    The systems share every product, so that the data behind them is read once for all. A system
    that has converged stands still while the others go on.

    Parameters
    ----------
    operator
        Maps (F, ...) to (F, ...), each slice by its own matrix.
    right
        Right-hand sides.
    preconditioner
        Maps like ``operator``; approximates the inverse of the matrices.
    tolerance
        Stop at ‖r‖ ≤ tolerance · ‖right‖ in the norm of the preconditioner.
    max_iterations
        Stop here at the latest; the residual then says how far it came.
    """
    dims = tuple(range(1, right.ndim))
    expand = (slice(None),) + (None,) * (right.ndim - 1)
    solution = torch.zeros_like(right)
    residual = right.clone()
    scaled = preconditioner(residual)
    direction = scaled.clone()
    energy = (residual * scaled).sum(dims)
    initial = energy.clone()
    target = tolerance**2 * initial
    iterations = 0
    while iterations < max_iterations:
        active = energy > target
        if not bool(active.any()):
            break
        product = operator(direction)
        curvature = (direction * product).sum(dims)
        active &= curvature > 0
        if not bool(active.any()):
            break
        step = torch.where(active, energy / torch.where(active, curvature, 1), 0)
        solution += step[expand] * direction
        residual -= step[expand] * product
        scaled = preconditioner(residual)
        previous, energy = energy, torch.where(active, (residual * scaled).sum(dims), energy)
        ratio = torch.where(active, energy / torch.where(active, previous, 1), 0)
        direction = scaled + ratio[expand] * direction
        iterations += 1
    relative = torch.sqrt(energy / initial.clamp_min(torch.finfo(right.dtype).tiny))
    return LinearSolution(solution, relative, iterations)
