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
from autobalance.objectives import BoundObjective
from autobalance.posthoc import tune_bias
from autobalance.search.constraints import BoundConstraint
from autobalance.search.exact import ExactProblem, Progress, exact_search, refit
from autobalance.search.folds import Folds
from autobalance.search.heldout import HELD_OUT_LOSSES
from autobalance.search.result import SearchResult
from autobalance.space import SearchSpace
from autobalance.starts import default_starts

DEFAULT_PARAMETERS = ("weight", "additive", "ridge")
DEFAULT_RIDGE = 1e-2
DESIGNED = "designed"
AUTO = "auto"
_OBSERVATIONS_FOR_ERRORS = 100
"""Held-out observations of an objective from which on its smooth error rate steers the search."""
_SHARPNESS = {"error": 60.0, "cross-entropy": 20.0}
_TOLERANCE = {"error": 2e-5, "cross-entropy": 1e-4}
_FINAL_TOLERANCE = 1e-7
_DOUBLE_TOLERANCES = {"tolerance": 1e-8, "hypergradient_tolerance": 1e-8}
PRECISIONS = ("mixed", "double")


@dataclass(frozen=True)
class SearchSettings:
    """How the held-out objective is taken and minimised.

    Parameters
    ----------
    held_out_loss
        ``"error"``, a smooth error rate; ``"cross-entropy"``, as in the paper; or ``"auto"``
        (default): the error where the objective rests on at least 100 held-out examples (one over
        the variance of its estimate), so that enough of them lie near the boundary to say where
        it should be, and cross-entropy, of which every example says something, where they are
        fewer.
        With constraints it is the error, so that limits are error rates. See
        :mod:`autobalance.search.heldout`.
    sharpness
        Sharpness κ of smooth maxima, per unit of that loss; by default 60 for errors, so that
        about two points count, and 20 for cross-entropy.
    shrinkage
        Pull of α towards the starting design; see
        :class:`~autobalance.search.exact.ExactProblem`.
    profile_temperature
        Fit one temperature on the held-out logits before taking the objective.
    required_gain
        Standard errors that a designed loss must gain on the folds to replace its closed-form
        start; 1 is the one-standard-error rule, ``None`` always takes the lowest point. See
        :mod:`autobalance.search.evidence`.
    max_evaluations, tolerance
        Limits of the search; see :func:`~autobalance.search.exact.exact_search`. The tolerance is
        by default 2e-5 for errors and 1e-4 for cross-entropy.
    precision
        ``"mixed"`` keeps features in float32 and takes Hessian products in float32, values and
        gradients in float64; ``"double"`` does everything in float64, at twice the memory for
        features, with tight tolerances.
    """

    held_out_loss: str = AUTO
    sharpness: float | None = None
    shrinkage: float = 1.0
    profile_temperature: bool = True
    required_gain: float | None = 1.0
    max_evaluations: int = 60
    tolerance: float | None = None
    precision: str = "mixed"

    def __post_init__(self) -> None:
        if self.held_out_loss not in (AUTO, *HELD_OUT_LOSSES):
            raise DataError(
                f"held_out_loss is {self.held_out_loss!r}; use {', '.join(HELD_OUT_LOSSES)} or auto"
            )
        for name in ("sharpness", "tolerance"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise DataError(f"{name} is {value}; it must be positive and finite")
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

    def for_data(self, observations: float, constrained: bool) -> SearchSettings:
        """These settings with the held-out loss that suits so many held-out examples."""
        if self.held_out_loss != AUTO:
            return self
        steady = constrained or observations >= _OBSERVATIONS_FOR_ERRORS
        return replace(self, held_out_loss="error" if steady else "cross-entropy")

    @property
    def sharpness_used(self) -> float:
        """The sharpness given, or the default for the held-out loss."""
        return _SHARPNESS[self.held_out_loss] if self.sharpness is None else self.sharpness

    @property
    def tolerance_used(self) -> float:
        """The tolerance given, or the default for the held-out loss."""
        return _TOLERANCE[self.held_out_loss] if self.tolerance is None else self.tolerance

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
        How to search; the workbench keeps them with the held-out loss chosen.
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
        self.objective, self.constraints = objective, constraints
        self.settings = settings.for_data(self._held_out_observations(), len(constraints) > 0)
        self.features = FeatureMatrix(
            torch.from_numpy(np.require(features, requirements=["C", "W"])),
            torch.from_numpy(sample_weight),
            standardise=standardise,
            dtype=settings.dtype,
            columns=len(folds) * counts.n_classes,
        )

        self._tuned: dict[tuple[str, tuple[str, ...], float], SearchResult] = {}

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

    def start(self, name: str, ridge: float = DEFAULT_RIDGE, **arguments: float) -> LossDesign:
        """The preset ``name`` on this data, with a ridge to start from."""
        return replace(preset(name, self.counts, **arguments), ridge=ridge)

    def best_start(self, ridge: float = DEFAULT_RIDGE) -> LossDesign:
        """Of the losses that are consistent with the objective, the best on the folds.

        Each has its ridge tuned; see :func:`default_starts`.
        """
        results = {
            name: self.tune_preset(name, ridge=ridge)
            for name in default_starts(self.objective.objective)
        }
        best = min(results, key=lambda name: results[name].value)
        return replace(self.start(best), ridge=results[best].design.ridge)

    def train(
        self,
        space: SearchSpace,
        name: str,
        kind: str = DESIGNED,
        progress: Progress | None = None,
    ) -> TrainedHead:
        """Search ``space`` on the folds, then train on all examples with the design found."""
        result = exact_search(
            self.problem(space),
            max_evaluations=self.settings.max_evaluations,
            tolerance=self.settings.tolerance_used,
            required_gain=self.settings.required_gain if kind == DESIGNED else None,
            progress=progress,
        )
        return self._retrained(result, name, kind, space.degrees_of_freedom)

    def tune_preset(
        self, preset_name: str, tuned: Sequence[str] = (), ridge: float = DEFAULT_RIDGE
    ) -> SearchResult:
        """Tune the ridge of a closed-form loss on the folds, for the objective.

        ``tuned`` names parameters of the loss whose strength along log frequency is tuned too:
        ``("additive",)`` tunes τ of a logit adjustment, ``("multiplicative",)`` γ of a CDT or VS.
        Results are kept: the start of a search is also one of its rivals.
        """
        key = (preset_name, tuple(tuned), ridge)
        if key not in self._tuned:
            self._tuned[key] = exact_search(
                self.problem(self._preset_space(*key)),
                max_evaluations=self.settings.max_evaluations,
                tolerance=self.settings.tolerance_used,
            )
        return self._tuned[key]

    def train_preset(
        self, preset_name: str, name: str, tuned: Sequence[str] = (), ridge: float = DEFAULT_RIDGE
    ) -> TrainedHead:
        """Train with a closed-form loss tuned by :meth:`tune_preset`."""
        result = self.tune_preset(preset_name, tuned, ridge)
        return self._retrained(result, name, "closed form", len(tuned))

    def _preset_space(self, preset_name: str, tuned: tuple[str, ...], ridge: float) -> SearchSpace:
        by_cell = preset_name.startswith("group-")
        return SearchSpace.build(
            self.start(preset_name, ridge),
            (*tuned, "ridge"),
            dict.fromkeys(tuned, "cell-log-prior" if by_cell else "log-prior"),
        )

    def _retrained(self, result: SearchResult, name: str, kind: str, fitted: int) -> TrainedHead:
        """Train on all examples with the design of a search."""
        started = time.perf_counter()
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
        seconds = result.statistics["seconds"] + time.perf_counter() - started
        return TrainedHead(
            name, kind, result.design, model, result.held_out_logits, result, fitted, seconds
        )

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
        return replace(
            head,
            name=name,
            kind="post-hoc",
            design=replace(head.design, additive=head.design.additive - bias[:, None]),
            fitted=head.fitted + len(bias) - 1,
            model=replace(head.model, intercept=intercept, temperature=temperature),
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
            sharpness=settings.sharpness_used,
            shrinkage=settings.shrinkage,
            constraints=self.constraints,
            held_out_loss=settings.held_out_loss,
            profile_temperature=settings.profile_temperature,
            curvature_dtype=settings.dtype,
            **tolerances,
        )
