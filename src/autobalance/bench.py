"""What every bench shares, whatever it trains: examples, folds, and what is done with logits.

A bench is what the estimator, the command line and the benchmarks share. It turns a search space or
a closed-form loss into a trained classifier together with its held-out logits; a contest compares
contenders that were all trained on one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.calibration import design_offset, fit_calibration
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.losses.presets import preset
from autobalance.model import Model
from autobalance.objectives import BoundObjective
from autobalance.policy_space import POLICY_PARAMETERS
from autobalance.posthoc import tune_bias
from autobalance.search.constraints import BoundConstraint
from autobalance.search.exact import Progress
from autobalance.search.folds import Folds
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.result import SearchResult
from autobalance.search.settings import SearchSettings
from autobalance.space import SearchSpace

DEFAULT_RIDGE = 1e-2
DESIGNED = "designed"
CLOSED_FORM = "closed form"


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A loss, the model trained with it on all examples, and how it did on the folds.

    ``held_out_logits`` (M, K) belong to the examples ``Folds.row``; ``fitted`` is how many numbers
    were fitted on the folds beside the ridge; ``seconds`` covers search and retraining.
    """

    name: str
    kind: str
    design: LossDesign
    model: Model
    held_out_logits: Float[ndarray, "M K"]
    result: SearchResult
    fitted: int
    seconds: float


class Bench(ABC):
    """Examples and folds on which losses are searched and models are trained.

    Parameters
    ----------
    y, g
        Codes of class and group, in the order of ``counts``; ``g`` is all 0 without groups.
    sample_weight
        Shape (N,), not negative.
    counts
        Weighted examples per cell.
    folds
        Who trains and who validates.
    objective
        Bound to the data.
    settings
        How to search; the bench keeps them with the held-out loss chosen.
    constraints
        Limits on other objectives; a post-hoc bias is tuned under their first penalty only.

    Attributes
    ----------
    default_ridge
        Ridge, or weight decay of a network, where none is named.
    starting_radius
        Of balls around the examples, in the units of the features that are trained on.
    """

    default_ridge: float = DEFAULT_RIDGE
    starting_radius: float = 1.0

    def __init__(
        self,
        y: Integer[ndarray, "N"],
        g: Integer[ndarray, "N"],
        sample_weight: Float[ndarray, "N"],
        counts: Counts,
        folds: Folds,
        objective: BoundObjective,
        settings: SearchSettings,
        constraints: Sequence[BoundConstraint] = (),
    ) -> None:
        self.y, self.g, self.sample_weight = y, g, sample_weight
        self.counts, self.folds = counts, folds
        self.objective, self.constraints = objective, constraints
        self.settings = settings.for_data(self._held_out_observations(), len(constraints) > 0)

    @abstractmethod
    def best_start(self, ridge: float | None = None) -> LossDesign:
        """Of the losses that are consistent with the objective, where a search should start."""

    @abstractmethod
    def train(
        self,
        space: SearchSpace,
        name: str,
        kind: str = DESIGNED,
        progress: Progress | None = None,
    ) -> TrainedHead:
        """Search ``space`` on the folds, then train on all examples with the design found."""

    @abstractmethod
    def train_preset(
        self,
        preset_name: str,
        name: str,
        tuned: Sequence[str] = (),
        ridge: float | None = None,
    ) -> TrainedHead:
        """Train with a closed-form loss whose strengths are tuned on the folds."""

    def start(self, name: str, ridge: float | None = None, **arguments: float) -> LossDesign:
        """The preset ``name`` on this data, with a ridge to start from."""
        ridge = self.default_ridge if ridge is None else ridge
        costs = self.objective.objective.costs
        return replace(preset(name, self.counts, costs, **arguments), ridge=ridge)

    def held_out_risk(self) -> HeldOutRisk:
        """The objective of held-out logits."""
        return HeldOutRisk.of_folds(
            self.y,
            self.g,
            self.sample_weight,
            self.folds,
            self.objective,
            self.counts,
            self.constraints,
            sharpness=self.settings.sharpness_used,
            loss=self.settings.held_out_loss,
            profile_temperature=self.settings.profile_temperature,
        )

    def add_tuned_bias(self, head: TrainedHead, name: str) -> TrainedHead:
        """The same head with a bias per class tuned post hoc on its held-out logits.

        Its design asks for the same model in training: z + l with l = −b has its optimum where
        the plain logits are shifted by b, since the intercept carries next to no penalty.
        """
        started = time.perf_counter()
        held_out = self.held_out_risk()
        bias = tune_bias(held_out, torch.from_numpy(head.held_out_logits))
        logits = head.held_out_logits + bias
        temperature = held_out(torch.from_numpy(logits)).temperature
        return replace(
            head,
            name=name,
            kind="post-hoc",
            design=replace(head.design, additive=head.design.additive - bias[:, None]),
            fitted=head.fitted + len(bias) - 1,
            model=head.model.shifted(bias).with_calibration(temperature),
            held_out_logits=logits,
            seconds=head.seconds + time.perf_counter() - started,
        )

    def calibrated(self, head: TrainedHead) -> TrainedHead:
        """The head with calibrators for stated priors, fitted on its held-out logits.

        Only a head that is kept needs them, and fitting them takes a while with many classes.
        """
        rows, per_class = self.folds.row, self.counts.per_class
        calibration = fit_calibration(
            head.held_out_logits,
            self.y[rows],
            self.sample_weight[rows],
            per_class / per_class.sum(),
            design_offset(head.design),
            rows,
        )
        return replace(head, model=head.model.with_calibration(calibration=calibration))

    def _held_out_observations(self) -> float:
        """How many examples the objective rests on: 1 / the variance of its estimate."""
        rows = np.unique(self.folds.row)
        weight, shape = self.sample_weight[rows], self.counts.values.shape
        cell = self.y[rows] * shape[1] + self.g[rows]
        total, squares = (
            np.bincount(cell, weight**power, self.counts.values.size).reshape(shape)
            for power in (1, 2)
        )
        effective = np.divide(total**2, squares, out=np.zeros(shape), where=squares > 0)
        return 1 / self.objective.estimation_variance(effective, total / total.sum())


def fitted_values(space: SearchSpace) -> int:
    """How many numbers a search of this space fits beside the ridge, those of a policy included."""
    of_policy = sum(space.sizes.get(parameter, 0) for parameter in POLICY_PARAMETERS)
    return space.degrees_of_freedom + of_policy
