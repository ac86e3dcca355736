"""How far a hypergradient points where the exact one does.

The reference solves (H + λI) p = v in float64 to a relative residual of 1e-6, with H the Hessian of
all training examples, by double backward, and v the gradient of the whole held-out set. λ is the
smallest of a few dampings at which conjugate gradients meet no negative curvature. A second
reference has the Gauss–Newton matrix of all training examples in place of H, with the same λ.

What is compared is the derivative by what is searched: l and log δ of each class, without the
constants that change nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from autobalance.batches import Batch
from autobalance.errors import SearchError
from autobalance.hypergradient import (
    CG,
    GaussNewton,
    Hessian,
    Hypergradient,
    ParametricLoss,
    hypergradient,
)
from autobalance.hypergradient.gauss_newton import LinearOperator
from autobalance.hypergradient.logit_loss import LogitLoss
from autobalance.hypergradient.network import Network
from benchmarks.hypergradient.cases import Case
from benchmarks.hypergradient.draws import at
from benchmarks.hypergradient.methods import (
    PUBLISHED_STEPS,
    Method,
    Slopes,
    autograd_loss,
    batches,
    class_means,
)

DRAWS = 20
DAMPINGS = (0.1, 0.2, 0.5, 1.0, 2.0)
TOLERANCE = 1e-6
_ITERATIONS = 2000
_PIECE = 128
_POWER_ITERATIONS = 20


class Reference(NamedTuple):
    """The direction by either curvature, and the damping it took."""

    hessian: ndarray
    gauss_newton: ndarray
    damping: float
    products: int


def searched(slopes: Slopes, case: Case) -> ndarray:
    """Derivatives by l and log δ, one after the other, each without its mean over the classes."""
    _, additive, multiplicative = (part.detach().double().cpu() for part in slopes)
    by_log = case.values[2].double().cpu() * multiplicative
    return torch.cat([part - part.mean() for part in (additive, by_log)]).numpy().ravel()


def reference(case: Case) -> Reference:
    """The exact directions.

    Raises
    ------
    SearchError
        If no damping is enough.
    """
    double = Case(
        case.name, copy.deepcopy(case.model).double(), _doubled(case.train), _doubled(case.held_out)
    )
    for damping in DAMPINGS:
        with suppress(SearchError):  # negative curvature at once
            exact = _exact(double, _WholeHessian(), damping)
            if exact.record.residual <= TOLERANCE:
                gauss_newton = _exact(double, _WholeGaussNewton(), damping)
                return Reference(
                    searched(exact.loss, double),
                    searched(gauss_newton.loss, double),
                    damping,
                    exact.record.products,
                )
    raise SearchError(f"the Hessian has negative curvature beyond {max(DAMPINGS)}; train longer")


def _exact(case: Case, curvature: Hessian | GaussNewton, damping: float) -> Hypergradient:
    return hypergradient(
        case.model,
        ParametricLoss(*case.values),
        class_means,
        [case.train],
        [case.held_out],
        solver=CG(_ITERATIONS, damping, TOLERANCE),
        curvature=curvature,
    )


class _WholeHessian(Hessian):
    """The Hessian of a batch of any size."""

    def at(self, network: Network, loss: LogitLoss, batch: Batch, draw: int = 0) -> LinearOperator:
        """The operator of the whole batch."""
        return _mean_over_pieces(partial(super().at, network, loss), batch)


class _WholeGaussNewton(GaussNewton):
    """The Gauss–Newton matrix of a batch of any size."""

    def at(self, network: Network, loss: LogitLoss, batch: Batch, draw: int = 0) -> LinearOperator:
        """The operator of the whole batch."""
        return _mean_over_pieces(partial(super().at, network, loss), batch)


def _mean_over_pieces(operator: Callable[[Batch], LinearOperator], batch: Batch) -> LinearOperator:
    """Products with pieces that fit the processor's caches."""
    rows = torch.arange(len(batch.targets)).split(_PIECE)
    operators = [operator(at(batch, own)) for own in rows]
    shares = [len(own) / len(batch.targets) for own in rows]

    def product(vector: Tensor) -> Tensor:
        parts = [share * one(vector) for share, one in zip(shares, operators, strict=True)]
        return torch.stack(parts).sum(0)

    return product


def _doubled(examples: Batch) -> Batch:
    return Batch(examples.inputs.double(), examples.targets)


def published_step(case: Case) -> float:
    """The largest step with which the published series does not diverge, η · λ_max < 2.

    λ_max is that of the Hessian of the training examples it gets, by power iterations.
    """
    network = Network(case.model)
    drawn = batches(case, seed=0).training
    together = Batch(*(torch.cat(part) for part in zip(*(b[:2] for b in drawn), strict=True)))
    with network.undisturbed():
        product = Hessian().at(network, autograd_loss(case), together)
        vector: Tensor = torch.randn_like(network.theta)
        for _ in range(_POWER_ITERATIONS):
            vector = product(vector / vector.norm())
    sound = [step for step in PUBLISHED_STEPS if step * float(vector.norm()) < 2]
    return max(sound, default=min(PUBLISHED_STEPS))


def cosines(
    case: Case, chosen: dict[str, Method], exact: Reference, draws: Iterable[int]
) -> dict[str, dict[str, Any]]:
    """For each method the cosines of single draws, and of their mean, with either reference."""
    found: dict[str, list[ndarray]] = {name: [] for name in chosen}
    for seed in draws:
        drawn = batches(case, seed)
        for name, method in chosen.items():
            found[name].append(searched(method(case, drawn), case))
    return {name: _compared(np.stack(own), exact) for name, own in found.items()}


def _compared(found: ndarray, exact: Reference) -> dict[str, Any]:
    failed = int((found == 0).all(axis=1).sum())
    entry: dict[str, Any] = {"draws": len(found), "failed": failed}
    for name, direction in (("", exact.hessian), ("_gauss_newton", exact.gauss_newton)):
        single = [cosine(vector, direction) for vector in found]
        entry |= {
            f"cosine{name}": float(np.mean(single)),
            f"cosine{name}_sd": float(np.std(single, ddof=1)),
            f"cosine_of_mean{name}": cosine(found.mean(axis=0), direction),
        }
    return entry


def cosine(a: ndarray, b: ndarray) -> float:
    """Of the angle between two vectors; 0 if one of them is 0, and so has no direction."""
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size > 0 else 0.0
