"""One protocol for all baselines: strengths tuned on the folds, then one head on all examples.

A baseline is a function that trains heads: it is given values of its strengths and the weights of
each head's training examples. Its strengths are tuned for the held-out objective that designed and
closed-form losses are tuned for, on the same folds and the same prepared features.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from autobalance.baselines.direct_search import BestPoint, Evaluate, Strength, Values
from autobalance.model import LinearModel
from autobalance.space import SearchSpace
from autobalance.workbench import Workbench

RIDGE = Strength(start=0.1, step=4.0, low=1e-5, high=1e2)
"""The range is that of the searched ridge of designed losses."""

TrainHeads = Callable[
    [Values, Float[Tensor, "F N"], Float[Tensor, "F K E"] | None], Float[Tensor, "F K E"]
]
"""Trains one head per row of example weights (each row sums to 1) with these values, given heads
that were trained with other values to begin from."""


@dataclass(frozen=True, eq=False)
class TunedHead:
    """A head trained by a baseline on all examples, and how it did on the folds.

    ``value`` is the held-out objective and ``strengths`` are the values chosen for it, with
    ``held_out_logits`` (M, K) of the examples ``Folds.row``; ``seconds`` covers tuning and
    retraining, and for a post-hoc correction the head that it starts from.
    """

    name: str
    kind: str
    model: LinearModel
    held_out_logits: Float[ndarray, "M K"]
    value: float
    strengths: Values
    seconds: float


class OnFolds(NamedTuple):
    """Heads of the folds, the logits of what each left out, and their temperature."""

    theta: Float[Tensor, "F K E"]
    logits: Float[Tensor, "M K"]
    temperature: float


def tune(
    bench: Workbench,
    name: str,
    train: TrainHeads,
    search: Callable[[Evaluate[OnFolds]], BestPoint[OnFolds]],
    kind: str = "baseline",
) -> TunedHead:
    """Tune the strengths of a baseline on the folds, then train it on all examples.

    Parameters
    ----------
    bench
        Data, folds, objective and settings.
    name, kind
        What the result is called.
    train
        The baseline.
    search
        What tunes its strengths: :func:`~autobalance.baselines.direct_search.compass_search` or
        :func:`~autobalance.baselines.direct_search.grid_search` over some.
    """
    started = time.perf_counter()
    problem = bench.problem(SearchSpace(bench.start("cross-entropy"), {}, True))
    fold, row = torch.from_numpy(bench.folds.fold), torch.from_numpy(bench.folds.row)
    on_folds = torch.from_numpy(bench.folds.train_weight(bench.sample_weight))

    def evaluate(values: Values, best: OnFolds | None) -> tuple[float, OnFolds]:
        problem.heads.theta = train(values, on_folds, None if best is None else best.theta)
        logits = problem.heads.outputs(fold, row)
        outcome = problem.held_out(logits)
        return float(outcome.total), OnFolds(problem.heads.theta, logits, outcome.temperature)

    best = search(evaluate)
    everything = torch.from_numpy(bench.sample_weight / bench.sample_weight.sum())[None]
    theta = train(best.values, everything, best.kept.theta.mean(0, keepdim=True))
    coef, intercept = bench.features.to_original(theta[0])
    return TunedHead(
        name=name,
        kind=kind,
        model=LinearModel(
            bench.counts.classes, coef.numpy(), intercept.numpy(), best.kept.temperature
        ),
        held_out_logits=best.kept.logits.numpy(),
        value=best.worth,
        strengths=best.values,
        seconds=time.perf_counter() - started,
    )
