"""Exact search on fixed features: train to the optimum, differentiate through it, step.

The inner problem is convex, so its optimum θ(α) is reached exactly, and the implicit function
theorem gives the gradient of the held-out objective F,

    dF/dα = −∂_α ⟨∇_θ L_train(θ; α), p⟩,        H p = ∇_θ F,

with conjugate gradients on the exact Hessian H, never formed. L-BFGS-B moves α within its bounds.
There is no
warm-up and there are no step sizes.

With very many examples, some that stand for all go ahead: the search ends on all of them where it
would have, but begins near there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from autobalance.data.features import FeatureMatrix
from autobalance.errors import SearchError
from autobalance.objectives import DEFAULT_SHARPNESS, BoundObjective
from autobalance.search.augmented_heads import heads_for
from autobalance.search.constraints import BoundConstraint
from autobalance.search.descent import BestPoint, Slope, descend
from autobalance.search.evidence import paired_gain
from autobalance.search.folds import Folds
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.moved_features import DEFAULT_DRAWS, Draws
from autobalance.search.result import GONE_AHEAD, START_KEPT, Evaluation, SearchResult
from autobalance.search.scout import follow
from autobalance.space import SearchSpace

logger = logging.getLogger(__name__)

Progress = Callable[[Evaluation], None]

_BOX = 2.0
_RIDGE_BOX = 4.0
"""Half the width of a round's box, in log weights or logits, and in log ridge."""
_MAX_ROUNDS = 12
"""Rounds with growing multipliers, if there are constraints."""
_FEASIBLE = 1e-3
"""Excess over a limit, in the held-out loss, that counts as none."""


class _Point(NamedTuple):
    """A trained point of the search: what it was worth, its held-out logits and its heads."""

    evaluation: Evaluation
    value: float
    logits: Float[Tensor, "M K"]
    theta: Float[Tensor, "F K E"]


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
        Sharpness κ of smooth maxima, per unit of the held-out loss.
    shrinkage
        Strength of the pull of α towards the start, ``shrinkage · V/2 · ‖α‖²`` over the entries
        that shape the loss. V is the variance of the objective's held-out estimate for losses of
        variance 1 (:meth:`~autobalance.objectives.bound.BoundObjective.estimation_variance`), about
        one over the number of examples it rests on. 1 then is a normal prior of standard
        deviation 1, in logits or log weights, against that many observations; objectives that
        rest on their rarest cells are pulled harder, because there the folds say less.
    constraints
        Limits on other objectives; see :mod:`autobalance.search.constraints`.
    held_out_loss, profile_temperature
        See :class:`~autobalance.search.heldout.HeldOutRisk`.
    curvature_dtype, tolerance
        See :class:`~autobalance.search.heads.LinearHeads`.
    hypergradient_tolerance
        Relative residual of the solve for p. Its own error is far below what matters; but where
        the objective is flat it moves α by a thousand times as much, and with a looser one α
        would hang on the order of sums, as on how many ranks share them.
    draws
        Copies that stand for the balls around the training examples, if the start has a policy of
        balls; see :mod:`~autobalance.search.augmented_heads`.
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
        constraints: Sequence[BoundConstraint] = (),
        held_out_loss: str = "cross-entropy",
        profile_temperature: bool = True,
        curvature_dtype: torch.dtype = torch.float32,
        tolerance: float = 1e-4,
        hypergradient_tolerance: float = 1e-5,
        draws: Draws = DEFAULT_DRAWS,
    ) -> None:
        self.space = space
        self.hypergradient_tolerance = hypergradient_tolerance
        y, g = torch.from_numpy(target).long(), torch.from_numpy(group).long()
        self.heads = heads_for(space.start.policy, draws)(
            features,
            y,
            g,
            torch.from_numpy(folds.train_weight(sample_weight)),
            space.counts.n_classes,
            curvature_dtype=curvature_dtype,
            tolerance=tolerance,
        )
        self._fold, self._row = torch.from_numpy(folds.fold), torch.from_numpy(folds.row)
        self.held_out = HeldOutRisk.of_folds(
            target,
            group,
            sample_weight,
            folds,
            objective,
            space.counts,
            constraints,
            sharpness=sharpness,
            loss=held_out_loss,
            profile_temperature=profile_temperature,
        )
        self.pull = shrinkage * self.held_out.variance
        self.history: list[Evaluation] = []
        self._best: _Point | None = None
        self.stalled = 0
        self.started = time.perf_counter()

    @property
    def held_out_rows(self) -> Integer[ndarray, "M"]:
        """Which examples the held-out logits belong to, ascending."""
        return np.asarray(self._row.numpy())

    def at(self, alpha: Float[ndarray, "A"]) -> _Point:
        """The best point, which is the only one that is kept whole."""
        if self._best is None or not np.array_equal(self._best.evaluation.alpha, alpha):
            raise LookupError("only the best point of a search is kept")
        return self._best

    @property
    def constrained(self) -> bool:
        """Whether there are limits on other objectives."""
        return self.held_out.constrained

    def constraints_kept(self, alpha: Float[ndarray, "A"]) -> bool:
        """Whether no limit is exceeded at the best point (always, without constraints)."""
        return self.at(alpha).evaluation.violation <= _FEASIBLE

    def sharpen_constraints(self, alpha: Float[ndarray, "A"]) -> None:
        """Update the multipliers at the best point: the function to minimise changes."""
        point = self.at(alpha)
        self.held_out.sharpen(torch.from_numpy(point.evaluation.risks))
        self._best = point._replace(value=np.inf)

    def value_and_gradient(self, alpha: Float[ndarray, "A"]) -> Slope:
        """F(α) with the shrinkage term, and its gradient; appends to the history."""
        point = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        values = self.space.decode(point)
        heads = self.heads
        if self._best is not None:
            heads.theta = self._best.theta  # nearer than the last trial of a line search
        heads.set_loss(values.detached())
        if not heads.fit():
            self.stalled += 1
            logger.warning(
                "training stalled before its tolerance at ridge %.1e", float(values.ridge.detach())
            )
        logits = heads.outputs(self._fold, self._row).requires_grad_()
        outcome = self.held_out(logits)
        (cotangent,) = torch.autograd.grad(outcome.total, logits)
        solution = heads.solve(
            heads.pull_back(self._fold, self._row, cotangent),
            heads.curvature_diagonal(),
            self.hypergradient_tolerance,
        )
        loss, ridge = heads.mixed_products(solution.value)
        products = (*loss, ridge, *heads.policy_products(solution.value))
        of_loss = (values.weight, values.additive, values.multiplicative)
        outputs = (*of_loss, values.ridge.log(), *values.policy)
        # A parameter that is not searched has no graph; the others get minus the mixed product.
        searched = [
            (value, -product)
            for value, product in zip(outputs, products, strict=True)
            if value.requires_grad
        ]
        (gradient,) = torch.autograd.grad(
            [value for value, _ in searched], point, [product for _, product in searched]
        )
        part = slice(0, self.space.n_loss_values)
        value = float(outcome.total.detach()) + 0.5 * self.pull * float(alpha[part] @ alpha[part])
        slope = gradient.numpy().copy()
        slope[part] += self.pull * alpha[part]
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            raise SearchError(
                "the held-out objective is not finite; raise the ridge or check the features"
            )
        evaluation = Evaluation(
            alpha=np.array(alpha),
            objective=float(outcome.objective.detach()),
            violation=outcome.violation,
            gradient_norm=float(np.linalg.norm(slope)),
            risks=outcome.risks.detach().numpy(),
            errors=self.held_out.cell_errors(logits.detach()).numpy(),
            ridge=float(values.ridge.detach()),
            temperature=outcome.temperature,
            residual=float(solution.residual.max()),
            seconds=time.perf_counter() - self.started,
        )
        self.history.append(evaluation)
        if self._best is None or value < self._best.value:
            self._best = _Point(evaluation, value, logits.detach(), heads.theta)
        return value, slope


def exact_search(
    problem: ExactProblem,
    *,
    scout: ExactProblem | None = None,
    max_evaluations: int = 60,
    tolerance: float = 1e-4,
    required_gain: float | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Minimise the held-out objective over α, from α = 0.

    The ridge is tuned first with the loss as it starts, then everything together. If the loss is to
    move, its gain over the start must stand out from the noise of the held-out examples.

    Parameters
    ----------
    problem
        The objective and its gradient.
    scout
        The same problem on rows that stand for all. It is searched first, and the search then
        begins where that ended, which takes fewer evaluations that read all the rows.
    max_evaluations
        Evaluations at most, of the problem and of the scout; typical searches take 15 to 30.
    tolerance
        Stop when a step lowers the objective by less than this: far below what held-out examples
        can tell apart.
    required_gain
        Standard errors that the held-out gain over the start must exceed; otherwise the start is
        kept, with its tuned ridge. ``None`` always takes the lowest point.
        With constraints, which the start may not keep, the rule is not applied. See
        :mod:`autobalance.search.evidence`.
    progress
        Called with every evaluation.

    Returns
    -------
    SearchResult
        With the best α seen, which need not be the last, or the start.
    """
    space = problem.space
    reach = np.full(space.dimension, _BOX)
    reach[space.n_loss_values :] = _RIDGE_BOX
    minimise = partial(descend, reach=reach, tolerance=tolerance)
    best = BestPoint(_reporting(problem, progress), max_evaluations)
    if scout is None:
        status, start = _minimise(problem, best, minimise, np.zeros(space.dimension))
    else:
        ahead = BestPoint(scout.value_and_gradient, max_evaluations)
        _, start = _minimise(scout, ahead, minimise, np.zeros(space.dimension))
        lowest = scout.at(ahead.alpha)
        start = lowest if start is None else start
        problem.heads.theta = start.theta
        minimise = partial(follow, scout.value_and_gradient, reach=reach, tolerance=tolerance)
        near = start.evaluation.alpha, lowest.evaluation.alpha
        status, start = _minimise(problem, best, minimise, *near)
    point = problem.at(best.alpha)
    if point.evaluation.violation > _FEASIBLE:
        status = "infeasible"
    message = _message(status, best.alpha, space)
    statistics: dict[str, Any] = {}
    if scout is not None:
        rows, of_scout = scout.heads.examples.shape[0], len(scout.history)
        statistics |= dict(zip(GONE_AHEAD, (rows, of_scout), strict=True))
    if start is not None:
        gain = paired_gain(problem.held_out, start.logits, point.logits)
        statistics |= {"gain": gain.value, "gain_standard_error": gain.standard_error}
        if required_gain is not None and not gain.stands_out(required_gain):
            tuned = ", with its ridge tuned" if space.search_ridge else ""
            ended = "" if status == "converged" else f" ({message})"
            point, status = start, START_KEPT
            message = (
                f"the starting loss is kept{tuned}: the best loss found gains "
                f"{max(gain.value, 0.0):.4f} on the folds, with a standard error of "
                f"{gain.standard_error:.4f}{ended}"
            )
    evaluations = len(problem.history)
    logger.info("search: %s after %d evaluations: %s", status, evaluations, message)
    return SearchResult(
        design=space.design(point.evaluation.alpha),
        alpha=point.evaluation.alpha,
        value=point.evaluation.objective,
        status=status,
        message=message,
        history=tuple(problem.history),
        held_out_logits=point.logits.numpy(),
        held_out_rows=problem.held_out_rows,
        head=point.theta.mean(0),
        statistics=statistics
        | {
            "evaluations": evaluations,
            "curvature_products": problem.heads.products,
            "stalled_trainings": problem.stalled,
            "seconds": time.perf_counter() - problem.started,
            "folds": problem.heads.theta.shape[0],
        },
    )


def _minimise(
    problem: ExactProblem,
    best: BestPoint,
    minimise: Callable[..., str],
    origin: Float[ndarray, "A"],
    then: Float[ndarray, "A"] | None = None,
) -> tuple[str, _Point | None]:
    """Tune the ridge with the loss as it starts, then everything: how it ended, and the start.

    The loss starts at ``origin``; everything is searched from there with its ridge tuned, or from
    ``then``. There is no start to return where nothing of the loss is searched, and with
    constraints, which it may not keep.
    """
    space, alpha = problem.space, origin
    start: _Point | None = None
    if space.n_loss_values and not problem.constrained:
        best(alpha)
        if space.search_ridge:
            fixed_loss = [(0.0, 0.0)] * space.n_loss_values + space.bounds[-1:]
            minimise(best, alpha, fixed_loss)
        start = problem.at(best.alpha)
        alpha = best.alpha if then is None else then
    for _ in range(_MAX_ROUNDS):
        status = minimise(best, alpha, space.bounds)
        if status == "iteration limit" or problem.constraints_kept(best.alpha):
            break
        problem.sharpen_constraints(best.alpha)
        alpha = best.forget()
    return status, start


def _reporting(
    problem: ExactProblem, progress: Progress | None
) -> Callable[[Float[ndarray, "A"]], Slope]:
    def function(alpha: Float[ndarray, "A"]) -> Slope:
        result = problem.value_and_gradient(alpha)
        if progress is not None:
            progress(problem.history[-1])
        return result

    return function


def _message(status: str, alpha: Float[ndarray, "A"], space: SearchSpace) -> str:
    message = {
        "converged": "the search converged",
        "iteration limit": "the search reached its limit of evaluations; raise max_evaluations",
        "stalled": "no step lowered the objective further; the result is the best point seen",
        "infeasible": "no loss was found that keeps the constraints; loosen them",
    }[status]
    at_bounds = sum(
        bool(np.isclose(value, bound).any())
        for value, bound in zip(alpha, space.bounds, strict=True)
    )
    if at_bounds:
        message += f"; {at_bounds} of {len(alpha)} searched values lie at their bounds"
    return message
