"""The ways to a hypergradient that are compared, and what each is given.

The published configuration is that of the authors: ten training batches whose graphs are all kept,
five terms by double backward, ten held-out batches drawn uniformly, a fixed step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autobalance.batches import Batch
from autobalance.errors import SearchError
from autobalance.hypergradient import (
    AutogradLoss,
    FiniteDifference,
    Hessian,
    Neumann,
    OneStep,
    ParametricLoss,
    hypergradient,
    published_hypergradient,
)
from autobalance.losses.parametric import adjusted_cross_entropy
from benchmarks.hypergradient import betty_library
from benchmarks.hypergradient.cases import BATCH, CLASSES, Case
from benchmarks.hypergradient.draws import Draw, draw

RECENT_BATCHES = 4
STRATIFIED = 512
TINY = {"batch": 2, "stratum": 10}
"""A draw to load libraries with."""
PUBLISHED_BATCHES = 10
PUBLISHED_TERMS = 5
PUBLISHED_STEPS = (1.0, 0.1, 0.01, 0.001)

OURS: dict[str, dict[str, Any]] = {
    "CG, Gauss–Newton, forward mode": {},  # the default
    "CG, Gauss–Newton, finite difference": {"tangent": FiniteDifference()},
    "Neumann, Gauss–Newton, forward mode": {"solver": Neumann()},
    "Neumann, Gauss–Newton, finite difference": {
        "solver": Neumann(),
        "tangent": FiniteDifference(),
    },
    "one step, forward mode": {"solver": OneStep()},
    "one step, finite difference": {"solver": OneStep(), "tangent": FiniteDifference()},
    "CG, Hessian": {"curvature": Hessian()},
    "Neumann, Hessian": {"solver": Neumann(), "curvature": Hessian()},
}
"""What :func:`~autobalance.hypergradient.estimate.hypergradient` is told."""

DEFAULT = next(name for name, settings in OURS.items() if not settings)
PUBLISHED = "Algorithm 2 as published"

Slopes = tuple[Tensor, ...]
Method = Callable[[Case, Draw], Slopes]
"""From a case and a draw to the derivatives by w, l and δ."""


def batches(case: Case, seed: int, batch: int = BATCH, stratum: int = STRATIFIED) -> Draw:
    """A draw that suffices for every method."""
    return draw(case.train, case.held_out, seed, batch, PUBLISHED_BATCHES, stratum)


def methods(published_step: float) -> dict[str, Method]:
    """Every method by its name; Betty's too where it is installed."""
    ours = {name: _ours(settings) for name, settings in OURS.items()}
    return ours | {PUBLISHED: _published(published_step)} | _betty(published_step)


def class_means(logits: Tensor, held_out: Sequence[Batch]) -> Tensor:
    """The balanced loss of batches that show all classes: the mean of the classes' means."""
    targets = torch.cat([batch.targets for batch in held_out])
    examples = torch.bincount(targets, minlength=CLASSES)
    weight = 1 / (examples[targets] * (examples > 0).sum())
    return (weight * F.cross_entropy(logits, targets, reduction="none")).sum()


def _ours(settings: dict[str, Any]) -> Method:
    def method(case: Case, drawn: Draw) -> Slopes:
        recent = drawn.training[:RECENT_BATCHES]
        loss = ParametricLoss(*case.values)
        try:
            estimate = hypergradient(
                case.model, loss, class_means, recent, [drawn.stratified], **settings
            )
        except SearchError:  # no answer is no direction
            return tuple(torch.zeros_like(value) for value in case.values)
        return estimate.loss

    return method


def _published(step: float) -> Method:
    def method(case: Case, drawn: Draw) -> Slopes:
        share = torch.bincount(case.held_out.targets, minlength=CLASSES)
        weight = len(case.held_out.targets) / (CLASSES * share)

        def weighted(logits: Tensor, held_out: Sequence[Batch]) -> Tensor:
            """The balanced loss of uniform draws: a batch may lack the rare classes."""
            (batch,) = held_out
            losses = F.cross_entropy(logits, batch.targets, weight, reduction="sum")
            return losses / len(batch.targets)

        return published_hypergradient(
            case.model,
            autograd_loss(case),
            weighted,
            drawn.training,
            drawn.uniform,
            terms=PUBLISHED_TERMS,
            step=step,
        )

    return method


def autograd_loss(case: Case) -> AutogradLoss:
    """The training loss with values to differentiate by."""
    values = [value.clone().requires_grad_() for value in case.values]
    return AutogradLoss(
        lambda logits, batch: adjusted_cross_entropy(logits, batch.targets, *values), values
    )


def _betty(step: float) -> dict[str, Method]:
    """Betty's ways, on the held-out batch that ours get and one training batch, its only one."""
    settings = {
        "Betty, Neumann": {
            "type": "neumann",
            "neumann_iterations": PUBLISHED_TERMS,
            "neumann_alpha": step,
        },
        "Betty, CG": {"type": "cg", "cg_iterations": PUBLISHED_TERMS},
        "Betty, finite difference (DARTS)": {"type": "darts"},
    }

    def method(case: Case, drawn: Draw, configuration: dict[str, Any]) -> Slopes:
        return betty_library.slopes(
            case.model,
            autograd_loss(case),
            class_means,
            drawn.training[0],
            drawn.stratified,
            configuration,
        )

    if betty_library.version() is None:
        return {}
    return {name: partial(method, configuration=own) for name, own in settings.items()}
