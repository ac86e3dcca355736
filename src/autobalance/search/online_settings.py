"""How often and how the search beside a training loop moves the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from autobalance.errors import DataError
from autobalance.hypergradient.damped_cg import CG
from autobalance.hypergradient.gauss_newton import GaussNewton
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.network import MODES
from autobalance.hypergradient.solvers import Solver
from autobalance.hypergradient.tangent import Tangent
from autobalance.objectives import Objective
from autobalance.search.heldout import HELD_OUT_LOSSES
from autobalance.search.settings import AUTO


def network_parameters(names: str | Sequence[str], objective: Objective) -> Sequence[str]:
    """What is searched for a network: ``names``, or for ``"auto"`` what suits the objective.

    For the balanced error it is ``emphasis``, along log π: every loss on that line is consistent
    with it, and one slope is what a few held-out examples of rare classes can tell. Values by class
    followed their noise (docs/images.md has the measurements). Other objectives have no such line,
    and get adjustments, additive and multiplicative.
    """
    if names not in (AUTO, (AUTO,), [AUTO]):
        return (names,) if isinstance(names, str) else names
    if {name for name, _ in objective.terms} == {"balanced"}:
        return ("emphasis",)
    return ("additive", "multiplicative")


@dataclass(frozen=True)
class OnlineSettings:
    """How often and how the loss is moved.

    Parameters
    ----------
    warm_up
        Optimizer steps before the loss first moves: a hypergradient means little before the network
        has come near a minimum.
    every
        Optimizer steps from one move of the loss to the next.
    recent_batches
        Training batches, the latest, that a hypergradient is taken on.
    held_out_batches
        Batches of the held-out loader that it is taken on.
    learning_rate
        Of the default optimizer of α, Adam: about how far an adjusted logit, or a log weight, moves
        at a time.
    solver, curvature, tangent, mode
        See :func:`~autobalance.hypergradient.estimate.hypergradient`. A model with an operation
        that has no forward mode gets finite differences, with a warning.
    held_out_loss, sharpness, profile_temperature
        See :class:`~autobalance.search.running_objective.RunningObjective`.
    temperature
        Of relaxed Bernoulli variables, from which hypergradients of a policy's probabilities are
        taken; ``None`` takes exact differences, which are less noisy. See
        :mod:`autobalance.search.policy_term`.
    pull
        Strength c of a pull c/2 ‖α‖² of the loss towards its start.
    patience
        Moves that may fail in a row, each halving the rate, before the search gives up.
    """

    warm_up: int = 0
    every: int = 10
    recent_batches: int = 4
    held_out_batches: int = 1
    learning_rate: float = 0.05
    solver: Solver = field(default_factory=CG)
    curvature: GaussNewton | Hessian | None = None
    tangent: Tangent | None = None
    mode: str = "eval"
    held_out_loss: str = "cross-entropy"
    sharpness: float = 20.0
    profile_temperature: bool = True
    temperature: float | None = None
    pull: float = 0.0
    patience: int = 8

    def __post_init__(self) -> None:
        for name in ("every", "recent_batches", "held_out_batches", "patience"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; use a whole number, at least 1")
        if self.temperature is not None and not self.temperature > 0:
            raise DataError(f"temperature is {self.temperature}; it must be above 0")
        if self.mode not in MODES:
            raise DataError(f"mode is {self.mode!r}; use {' or '.join(MODES)}")
        if self.held_out_loss not in HELD_OUT_LOSSES:
            raise DataError(
                f"held_out_loss is {self.held_out_loss!r}; use {' or '.join(HELD_OUT_LOSSES)}"
            )
