"""One data set, one set of folds: every loss is searched, tuned and retrained on the same terms.

The workbench is what the estimator, the command line and the benchmarks share. It holds the
prepared features and the folds, and turns a search space or a closed-form loss into a trained head
together with its held-out logits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.calibration import design_offset, fit_calibration
from autobalance.counts import Counts
from autobalance.data.features import FeatureMatrix
from autobalance.design import LossDesign
from autobalance.errors import DataError
from autobalance.losses.presets import preset
from autobalance.model import LinearModel
from autobalance.objectives import DEFAULT_SHARPNESS, BoundObjective, Objective
from autobalance.posthoc import tune_bias
from autobalance.search.constraints import BoundConstraint
from autobalance.search.exact import ExactProblem, Progress, exact_search, refit
from autobalance.search.folds import Folds
from autobalance.search.result import SearchResult
from autobalance.space import SearchSpace

DEFAULT_PARAMETERS = ("weight", "additive", "ridge")
DEFAULT_RIDGE = 1e-2
DESIGNED = "designed"
_FINAL_TOLERANCE = 1e-7
_DOUBLE_TOLERANCES = {"tolerance": 1e-8, "hypergradient_tolerance": 1e-8}
PRECISIONS = ("mixed", "double")


def default_start(objective: Objective) -> str:
    """Name of the closed-form loss that a search for ``objective`` starts from.

    It is consistent with the objective (Algorithm 1, line 1): logit adjustment, by class or within
    each group, or cross-entropy for the plain error. The paper's best results start there (Table 1,
    last row); weights are as consistent, but do less for a model that fits its training data.
    """
    names = {name for name, _ in objective.terms}
    if names & {"group-balanced", "worst-group", "equal-opportunity", "equalized-odds"}:
        return "group-la"
    return "logit-adjustment" if names & {"balanced", "worst-class"} else "cross-entropy"


@dataclass(frozen=True)
class SearchSettings:
    """How the held-out objective is taken and minimised.

    Parameters
    ----------
    sharpness
        Sharpness κ of smooth maxima, per unit of cross-entropy.
    shrinkage
        Pull of α towards the starting design; see
        :class:`~autobalance.search.exact.ExactProblem`.
    profile_temperature
        Fit one temperature on the held-out logits before taking the objective.
    required_gain
        Standard errors by which the gain of a designed loss on the folds must exceed its optimism
        for the loss to replace its closed-form start; 1 is the one-standard-error rule, ``None``
        always takes the lowest point. See :mod:`autobalance.search.evidence`.
    max_evaluations, tolerance
        Limits of the search; see :func:`~autobalance.search.exact.exact_search`.
    precision
        ``"mixed"`` keeps features in float32 and takes Hessian products in float32, values and
        gradients in float64; ``"double"`` does everything in float64, at twice the memory for
        features, with tight tolerances.
    """

    sharpness: float = DEFAULT_SHARPNESS
    shrinkage: float = 1.0
    profile_temperature: bool = True
    required_gain: float | None = 1.0
    max_evaluations: int = 60
    tolerance: float = 1e-4
    precision: str = "mixed"

    def __post_init__(self) -> None:
        for name in ("sharpness", "tolerance"):
            if not 0 < getattr(self, name) < np.inf:
                raise DataError(f"{name} is {getattr(self, name)}; it must be positive and finite")
        for name in ("shrinkage", "required_gain"):
            value = getattr(self, name)
            always = name == "required_gain" and value is None
            if not always and not 0 <= value < np.inf:
                raise DataError(f"{name} is {value}; it must be finite and not negative")
        if self.max_evaluations < 1 or self.max_evaluations != int(self.max_evaluations):
            raise DataError(
                f"max_evaluations is {self.max_evaluations}; use a whole number of at least 1"
            )
        if self.precision not in PRECISIONS:
            raise DataError(f"precision is {self.precision!r}; use one of {', '.join(PRECISIONS)}")

    @property
    def dtype(self) -> torch.dtype:
        """Of features and Hessian products."""
        return torch.float32 if self.precision == "mixed" else torch.float64


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A loss, the head trained with it on all examples, and how it did on the folds.

    ``held_out_logits`` (M, K) belong to the examples ``Folds.row``; ``fitted`` is how many numbers
    were fitted on the folds beside the ridge; ``seconds`` covers search and retraining.
    """

    name: str
    kind: str
    design: LossDesign
    model: LinearModel
    held_out_logits: Float[ndarray, "M K"]
    result: SearchResult
    fitted: int
    seconds: float


class Workbench:
    """Prepared features and folds on which losses are searched and heads are trained.

    Parameters
    ----------
    features
        Shape (N, D), float.
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
        How to search.
    constraints
        Limits on other objectives; closed-form losses are tuned under them too, a post-hoc bias
        with their first penalty only.
    standardise
        Scale each feature to variance 1, or all by one common scale; see
        :class:`~autobalance.data.features.FeatureMatrix`.
    """

    def __init__(
        self,
        features: ndarray,
        y: Integer[ndarray, "N"],
        g: Integer[ndarray, "N"],
        sample_weight: Float[ndarray, "N"],
        counts: Counts,
        folds: Folds,
        objective: BoundObjective,
        settings: SearchSettings,
        *,
        constraints: Sequence[BoundConstraint] = (),
        standardise: bool = True,
    ) -> None:
        self.y, self.g, self.sample_weight = y, g, sample_weight
        self.counts, self.folds = counts, folds
        self.objective, self.settings, self.constraints = objective, settings, constraints
        self.features = FeatureMatrix(
            torch.from_numpy(np.require(features, requirements=["C", "W"])),
            torch.from_numpy(sample_weight),
            standardise=standardise,
            dtype=settings.dtype,
            columns=len(folds) * counts.n_classes,
        )

    def start(self, name: str, ridge: float = DEFAULT_RIDGE, **arguments: float) -> LossDesign:
        """The preset ``name`` on this data, with a ridge to start from."""
        return replace(preset(name, self.counts, **arguments), ridge=ridge)

    def train(
        self,
        space: SearchSpace,
        name: str,
        kind: str = DESIGNED,
        progress: Progress | None = None,
    ) -> TrainedHead:
        """Search ``space`` on the folds, then train on all examples with the design found."""
        started = time.perf_counter()
        result = exact_search(
            self.problem(space),
            max_evaluations=self.settings.max_evaluations,
            tolerance=self.settings.tolerance,
            required_gain=self.settings.required_gain if kind == DESIGNED else None,
            progress=progress,
        )
        theta = refit(
            self.features,
            self.y,
            self.g,
            self.sample_weight,
            result.design,
            tolerance=_FINAL_TOLERANCE,
            curvature_dtype=self.settings.dtype,
        )
        coef, intercept = self.features.to_original(theta)
        model = LinearModel(
            self.counts.classes, coef.numpy(), intercept.numpy(), result.best.temperature
        )
        seconds = time.perf_counter() - started
        return self.calibrated(
            TrainedHead(
                name,
                kind,
                result.design,
                model,
                result.held_out_logits,
                result,
                space.n_loss_values,
                seconds,
            )
        )

    def train_preset(
        self, preset_name: str, name: str, tuned: Sequence[str] = (), ridge: float = DEFAULT_RIDGE
    ) -> TrainedHead:
        """Train with a closed-form loss, its ridge tuned on the folds for the same objective.

        ``tuned`` names parameters of the loss whose strength along log frequency is tuned too:
        ``("additive",)`` tunes τ of a logit adjustment, ``("multiplicative",)`` γ of a CDT or VS.
        """
        by_cell = preset_name.startswith("group-")
        space = SearchSpace.build(
            self.start(preset_name, ridge),
            (*tuned, "ridge"),
            dict.fromkeys(tuned, "cell-log-prior" if by_cell else "log-prior"),
        )
        return self.train(space, name, "closed form")

    def add_tuned_bias(self, head: TrainedHead, name: str) -> TrainedHead:
        """The same head with a bias per class tuned post hoc on its held-out logits.

        Its design asks for the same model in training: z + l with l = −b has its optimum where
        the plain logits are shifted by b, since the intercept carries next to no penalty.
        """
        started = time.perf_counter()
        held_out = self.problem(SearchSpace(head.design, {}, True)).held_out
        bias = tune_bias(held_out, torch.from_numpy(head.held_out_logits))
        logits = head.held_out_logits + bias
        temperature = held_out(torch.from_numpy(logits)).temperature
        intercept = head.model.intercept + bias
        return self.calibrated(
            replace(
                head,
                name=name,
                kind="post-hoc",
                design=replace(head.design, additive=head.design.additive - bias[:, None]),
                fitted=head.fitted + len(bias) - 1,
                model=replace(head.model, intercept=intercept, temperature=temperature),
                held_out_logits=logits,
                seconds=head.seconds + time.perf_counter() - started,
            )
        )

    def calibrated(self, head: TrainedHead) -> TrainedHead:
        """The head with calibrators for stated priors, fitted on its held-out logits."""
        rows, per_class = self.folds.row, self.counts.per_class
        calibration = fit_calibration(
            head.held_out_logits,
            self.y[rows],
            self.sample_weight[rows],
            per_class / per_class.sum(),
            design_offset(head.design),
            rows,
        )
        return replace(head, model=replace(head.model, calibration=calibration))

    def problem(self, space: SearchSpace) -> ExactProblem:
        """The held-out objective over ``space`` on this data."""
        settings = self.settings
        tolerances = _DOUBLE_TOLERANCES if settings.precision == "double" else {}
        return ExactProblem(
            self.features,
            self.y,
            self.g,
            self.sample_weight,
            self.folds,
            space,
            self.objective,
            sharpness=settings.sharpness,
            shrinkage=settings.shrinkage,
            constraints=self.constraints,
            profile_temperature=settings.profile_temperature,
            curvature_dtype=settings.dtype,
            **tolerances,
        )
