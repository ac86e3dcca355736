"""Exact search on fixed features: train to the optimum, differentiate through it, step.

The inner problem is convex, so its optimum θ(α) is reached exactly, and the implicit function
theorem gives the gradient of the held-out objective F,

    dF/dα = −∂_α ⟨∇_θ L_train(θ; α), p⟩,        H p = ∇_θ F,

with conjugate gradients on the exact Hessian H, never formed. L-BFGS-B moves α within its bounds.
There is no warm-up and there are no step sizes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from autobalance.data.features import FeatureMatrix
from autobalance.design import LossDesign
from autobalance.errors import SearchError
from autobalance.objectives import DEFAULT_SHARPNESS, BoundObjective
from autobalance.search.folds import Folds
from autobalance.search.heads import LinearHeads
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.result import Evaluation, SearchResult
from autobalance.space import SearchSpace

logger = logging.getLogger(__name__)

Progress = Callable[[Evaluation], None]


class ExactProblem:
    """The held-out objective as a function of α, with its exact gradient.

    Parameters
    ----------
    features, target, group, sample_weight
        N examples: features, codes of class and group, weights.
    folds
        Who trains and who validates.
    space
        From α to the loss.
    objective
        Bound to the data's classes and groups.
    sharpness
        Sharpness κ of smooth maxima, per unit of cross-entropy.
    shrinkage
        Strength of the pull of α towards the start, ``shrinkage / (2 n_eff) · ‖α‖²`` over the
        entries that shape the loss. 1 corresponds to a normal prior of standard deviation 1 (in
        logits or log weights) when each of the n_eff effective held-out examples counts as one
        observation, n_eff = 1 / Σ_i v_i² for the weights v_i of the examples in the objective's
        calibrating cross-entropy; for a balanced objective the rare cells keep it small.
    profile_temperature
        See :class:`~autobalance.search.heldout.HeldOutRisk`.
    curvature_dtype, tolerance
        See :class:`~autobalance.search.heads.LinearHeads`.
    hypergradient_tolerance
        Relative residual of the solve for p.
    """

    def __init__(
        self,
        features: FeatureMatrix,
        target: Integer[ndarray, "N"],
        group: Integer[ndarray, "N"],
        sample_weight: Float[ndarray, "N"],
        folds: Folds,
        space: SearchSpace,
        objective: BoundObjective,
        *,
        sharpness: float = DEFAULT_SHARPNESS,
        shrinkage: float = 0.0,
        profile_temperature: bool = True,
        curvature_dtype: torch.dtype = torch.float32,
        tolerance: float = 1e-4,
        hypergradient_tolerance: float = 1e-3,
    ) -> None:
        self.space = space
        self.hypergradient_tolerance = hypergradient_tolerance
        y, g = torch.from_numpy(target).long(), torch.from_numpy(group).long()
        self.heads = LinearHeads(
            features,
            y,
            g,
            torch.from_numpy(folds.train_weight(sample_weight)),
            space.counts.n_classes,
            curvature_dtype=curvature_dtype,
            tolerance=tolerance,
        )
        self._fold, self._row = torch.from_numpy(folds.fold), torch.from_numpy(folds.row)
        self.held_out = HeldOutRisk(
            y[self._row],
            g[self._row],
            torch.from_numpy(sample_weight)[self._row],
            objective,
            sharpness=sharpness,
            profile_temperature=profile_temperature,
        )
        self.pull = shrinkage / self.held_out.effective_examples
        self.history: list[Evaluation] = []
        self.started = time.perf_counter()

    def logits(self) -> Float[Tensor, "M K"]:
        """Held-out logits at the last α."""
        return self.heads.outputs(self._fold, self._row)

    def value_and_gradient(
        self, alpha: Float[ndarray, "A"]
    ) -> tuple[float, Float[ndarray, "A"]]:
        """F(α) with the shrinkage term, and its gradient; appends to the history."""
        point = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        values = self.space.decode(point)
        heads = self.heads
        heads.set_loss(values.detached())
        heads.fit()
        logits = self.logits().requires_grad_()
        outcome = self.held_out(logits)
        (cotangent,) = torch.autograd.grad(outcome.objective, logits)
        solution = heads.solve(
            heads.pull_back(self._fold, self._row, cotangent),
            heads.curvature_diagonal(),
            self.hypergradient_tolerance,
        )
        loss, ridge = heads.mixed_products(solution.value)
        outputs = (values.weight, values.additive, values.multiplicative, values.ridge.log())
        # A parameter that is not searched has no graph; the others get minus the mixed product.
        searched = [
            (value, -product)
            for value, product in zip(outputs, (*loss, ridge), strict=True)
            if value.requires_grad
        ]
        (gradient,) = torch.autograd.grad(
            [value for value, _ in searched], point, [product for _, product in searched]
        )
        part = slice(0, self.space.n_loss_values)
        value = float(outcome.objective.detach()) + 0.5 * self.pull * float(
            alpha[part] @ alpha[part]
        )
        slope = gradient.numpy().copy()
        slope[part] += self.pull * alpha[part]
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            raise SearchError(
                "the held-out objective is not finite; raise the ridge or check the features"
            )
        self.history.append(
            Evaluation(
                alpha=np.array(alpha),
                objective=value,
                gradient_norm=float(np.linalg.norm(slope)),
                risks=outcome.risks.detach().numpy(),
                errors=self.held_out.cell_errors(logits.detach()).numpy(),
                ridge=float(values.ridge.detach()),
                temperature=outcome.temperature,
                residual=float(solution.residual.max()),
                seconds=time.perf_counter() - self.started,
            )
        )
        return value, slope


def exact_search(
    problem: ExactProblem,
    *,
    max_evaluations: int = 60,
    tolerance: float = 1e-4,
    progress: Progress | None = None,
) -> SearchResult:
    """Minimise the held-out objective over α with L-BFGS-B.

    Parameters
    ----------
    problem
        The objective and its gradient.
    max_evaluations
        Evaluations at most; typical searches take 15 to 30.
    tolerance
        Stop when a step lowers the objective by less than this share of it: far below what the
        held-out examples can tell apart.
    progress
        Called with every evaluation.

    Returns
    -------
    SearchResult
        With the best α seen, which need not be the last.
    """
    best: tuple[float, ndarray, Tensor] | None = None

    def evaluate(alpha: Float[ndarray, "A"]) -> tuple[float, Float[ndarray, "A"]]:
        nonlocal best
        value, gradient = problem.value_and_gradient(alpha)
        if best is None or value < best[0]:
            best = (value, np.array(alpha), problem.logits())
        if progress is not None:
            progress(problem.history[-1])
        return value, gradient

    space = problem.space
    outcome = minimize(
        evaluate,
        np.zeros(space.dimension),
        jac=True,
        method="L-BFGS-B",
        bounds=space.bounds,
        options={
            "maxfun": max_evaluations,
            "maxiter": max_evaluations,
            "ftol": tolerance,
            "gtol": 0.1 * tolerance,
        },
    )
    assert best is not None
    value, alpha, logits = best
    status, message = _status(outcome.status, alpha, space)
    design = space.design(alpha)
    logger.info("search %s after %d evaluations: %.5f", status, len(problem.history), value)
    return SearchResult(
        design=design,
        alpha=alpha,
        value=value,
        status=status,
        message=message,
        history=tuple(problem.history),
        held_out_logits=logits.numpy(),
        held_out_rows=problem._row.numpy(),
        statistics={
            "evaluations": len(problem.history),
            "curvature_products": problem.heads.products,
            "seconds": time.perf_counter() - problem.started,
            "folds": problem.heads.theta.shape[0],
        },
    )


def _status(code: int, alpha: Float[ndarray, "A"], space: SearchSpace) -> tuple[str, str]:
    status = {0: "converged", 1: "iteration limit"}.get(code, "stalled")
    message = {
        "converged": "the search converged",
        "iteration limit": "the search reached its limit of evaluations; raise max_evaluations",
        "stalled": "no step lowered the objective further; the result is the best point seen",
    }[status]
    at_bounds = sum(
        bool(np.isclose(value, bound).any())
        for value, bound in zip(alpha, space.bounds, strict=True)
    )
    if at_bounds:
        message += f"; {at_bounds} of {len(alpha)} searched values lie at their bounds"
    return status, message


def refit(
    features: FeatureMatrix,
    target: Integer[ndarray, "N"],
    group: Integer[ndarray, "N"],
    sample_weight: Float[ndarray, "N"],
    design: LossDesign,
    start: Float[Tensor, "K E"] | None = None,
    tolerance: float = 1e-6,
    curvature_dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "K E"]:
    """Train one head with the design on all the examples.

    The ridge multiplies the mean loss, so its value carries over from the folds.
    """
    share = torch.from_numpy(sample_weight / sample_weight.sum())[None]
    heads = LinearHeads(
        features,
        torch.from_numpy(target).long(),
        torch.from_numpy(group).long(),
        share,
        design.counts.n_classes,
        curvature_dtype=curvature_dtype,
        tolerance=tolerance,
    )
    if start is not None:
        heads.theta = start[None].double()
    space = SearchSpace(design, {}, False)
    heads.set_loss(space.decode(torch.zeros(0, dtype=torch.float64)))
    if not heads.fit():
        logger.warning("training stalled before its tolerance; raise the ridge")
    return heads.theta[0]
