"""The bench for linear heads on fixed features: the exact search, k folds, no step sizes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.bench import CLOSED_FORM, DESIGNED, Bench, TrainedHead, fitted_values
from autobalance.counts import Counts
from autobalance.data.features import FeatureMatrix
from autobalance.design import LossDesign
from autobalance.model import LinearModel
from autobalance.objectives import BoundObjective
from autobalance.search.augmented_heads import starting_radius
from autobalance.search.constraints import BoundConstraint
from autobalance.search.exact import ExactProblem, Progress, exact_search
from autobalance.search.folds import Folds
from autobalance.search.refit import refit
from autobalance.search.representatives import Representatives
from autobalance.search.result import SearchResult
from autobalance.search.settings import SearchSettings
from autobalance.space import SearchSpace
from autobalance.starts import default_starts

DEFAULT_PARAMETERS = ("weight", "additive", "ridge")
_ROWS_OF_A_SCOUT = 20_000
"""Rows of a (class, group) cell that a search looks at before it looks at all."""
_FEWER_FOR_A_SCOUT = 3
"""By how many times these must be fewer than all."""
_FINAL_TOLERANCE = 1e-7
_DOUBLE_TOLERANCES: dict[str, Any] = {"tolerance": 1e-8, "hypergradient_tolerance": 1e-8}


class _Examples(NamedTuple):
    """What a problem is made of."""

    features: FeatureMatrix
    y: Integer[ndarray, "N"]
    g: Integer[ndarray, "N"]
    sample_weight: Float[ndarray, "N"]
    folds: Folds


class Workbench(Bench):
    """Prepared features and folds on which losses are searched and heads are trained.

    Parameters
    ----------
    features
        Shape (N, D), float.
    y, g, sample_weight, counts, folds, objective, settings, constraints
        As in :class:`~autobalance.bench.Bench`; closed-form losses are tuned under the constraints
        too.
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
        super().__init__(y, g, sample_weight, counts, folds, objective, settings, constraints)
        self.features = FeatureMatrix(
            torch.from_numpy(np.require(features, requirements=["C", "W"])),
            torch.from_numpy(sample_weight),
            standardise=standardise,
            dtype=settings.dtype,
            columns=len(folds) * counts.n_classes,
        )
        self.starting_radius = starting_radius(features.shape[1])
        self._tuned: dict[tuple[str, tuple[str, ...], float], SearchResult] = {}

    def best_start(self, ridge: float | None = None) -> LossDesign:
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
            scout=self._scout(space),
            max_evaluations=self.settings.max_evaluations,
            tolerance=self.settings.tolerance_used,
            required_gain=self.settings.required_gain if kind == DESIGNED else None,
            progress=progress,
        )
        return self._retrained(result, name, kind, fitted_values(space))

    def tune_preset(
        self, preset_name: str, tuned: Sequence[str] = (), ridge: float | None = None
    ) -> SearchResult:
        """Tune the ridge of a closed-form loss on the folds, for the objective.

        ``tuned`` names parameters of the loss whose strength along log frequency is tuned too:
        ``("additive",)`` tunes τ of a logit adjustment, ``("multiplicative",)`` γ of a CDT or VS.
        Results are kept: the start of a search is also one of its rivals.
        """
        key = (preset_name, tuple(tuned), self.default_ridge if ridge is None else ridge)
        if key not in self._tuned:
            space = self._preset_space(*key)
            self._tuned[key] = exact_search(
                self.problem(space),
                scout=self._scout(space),
                max_evaluations=self.settings.max_evaluations,
                tolerance=self.settings.tolerance_used,
            )
        return self._tuned[key]

    def train_preset(
        self,
        preset_name: str,
        name: str,
        tuned: Sequence[str] = (),
        ridge: float | None = None,
    ) -> TrainedHead:
        """Train with a closed-form loss tuned by :meth:`tune_preset`."""
        result = self.tune_preset(preset_name, tuned, ridge)
        return self._retrained(result, name, CLOSED_FORM, len(tuned))

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
            result.head,
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

    def problem(self, space: SearchSpace) -> ExactProblem:
        """The held-out objective over ``space`` on this data."""
        return self._problem(
            _Examples(self.features, self.y, self.g, self.sample_weight, self.folds), space
        )

    def _scout(self, space: SearchSpace) -> ExactProblem | None:
        """The objective on rows that stand for all, if they are few and there are no limits."""
        if self.constraints or self._some is None:
            return None
        return self._problem(self._some, space)

    @cached_property
    def _some(self) -> _Examples | None:
        """Of each cell some rows, which weigh as much as all; those held out on their own."""
        used = np.flatnonzero(self.sample_weight)
        held_out = np.zeros(len(self.y), dtype=bool)
        held_out[self.folds.row] = True
        kind = 2 * (self.y * self.counts.n_groups + self.g) + held_out
        found = Representatives.of_cells(torch.from_numpy(kind[used]).long(), _ROWS_OF_A_SCOUT)
        if found is None or _FEWER_FOR_A_SCOUT * len(found.row) > len(used):
            return None
        rows = used[found.row.numpy()]
        return _Examples(
            self.features.some(torch.from_numpy(rows)),
            self.y[rows],
            self.g[rows],
            self.sample_weight[rows] * found.times.numpy(),
            self.folds.among(rows),
        )

    def _problem(self, examples: _Examples, space: SearchSpace) -> ExactProblem:
        settings = self.settings
        tolerances = _DOUBLE_TOLERANCES if settings.precision == "double" else {}
        return ExactProblem(
            *examples,
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
