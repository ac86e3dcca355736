"""One seed's folds and prepared features: what the methods of tables 3 and 5 have in common."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import RepeatedStratifiedKFold

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.evaluation import cell_codes
from autobalance.losses.presets import preset
from autobalance.model import LinearModel
from autobalance.network_bench import NetworkBench
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import Objective
from autobalance.reproduce.groups.data import Part
from autobalance.search.folds import Folds, make_folds
from autobalance.search.refit import refit
from autobalance.search.settings import SearchSettings
from autobalance.workbench import Workbench

FOLDS, REPEATS = 5, 3
"""Every example validates once in each repetition: with 56 examples in the rarest cell, one draw of
the folds decides too much."""
_TOLERANCE = 1e-7


class GroupLab:
    """Training examples and a seed; there is nothing here to score on.

    Parameters
    ----------
    train
        The training part.
    counts
        Its counts.
    seed
        Of the folds, and of everything that is drawn.
    folds
        Instead of those that the seed draws.
    single
        The lab whose examples are there twice in this one.
    """

    def __init__(
        self,
        train: Part,
        counts: Counts,
        seed: int,
        folds: Folds | None = None,
        single: GroupLab | None = None,
    ) -> None:
        self.train, self.counts, self.seed = train, counts, seed
        self._given, self._single = folds, single
        self._weight = np.ones(len(train.y))
        self._benches: dict[str, Workbench] = {}

    def bench(self, objective: str) -> Workbench:
        """Heads on five folds, tuned and searched for an objective."""
        if objective not in self._benches:
            self._benches[objective] = self.fresh_bench(objective)
        return self._benches[objective]

    def fresh_bench(self, objective: str) -> Workbench:
        """The same with nothing known yet, for what is to be timed."""
        settings = SearchSettings()
        if self._single is not None:  # copies are no further observations
            loss = self._single.bench(objective).settings.held_out_loss
            settings = SearchSettings(held_out_loss=loss)
        return Workbench(
            self.train.features,
            self.train.y,
            self.train.g,
            self._weight,
            self.counts,
            self.folds,
            Objective.parse(objective).bind(self.counts),
            settings,
            standardise=False,  # outputs of one network have one scale
        )

    def network_bench(
        self, objective: str, held_out: float, network: NetworkSettings
    ) -> NetworkBench:
        """A network and one split, searched for an objective beside its training."""
        return NetworkBench(
            self.train.features,
            self.train.y,
            self.train.g,
            self._weight,
            self.counts,
            self._folds(held_out),
            Objective.parse(objective).bind(self.counts),
            SearchSettings(),
            network,
            standardise=False,
            seed=self.seed,
        )

    @cached_property
    def folds(self) -> Folds:
        """Five folds, stratified by cell, drawn three times."""
        if self._given is not None:
            return self._given
        drawn = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=self.seed)
        return self._folds(list(drawn.split(self._cells, self._cells)))

    def doubled(self) -> GroupLab:
        """Every example twice, in its group and in a copy of that group, in the same fold."""
        train, folds, rows = self.train, self.folds, len(self.train.y)
        groups = self.counts.groups or ()
        counts = Counts(
            np.hstack([self.counts.values] * 2),
            self.counts.classes,
            (*groups, *(f"{group}, again" for group in groups)),
        )
        part = Part(
            np.vstack([train.features] * 2),
            np.tile(train.y, 2),
            np.concatenate([train.g, train.g + len(groups)]),
        )
        both = Folds(
            np.hstack([folds.train] * 2),
            np.tile(folds.fold, 2),
            np.concatenate([folds.row, folds.row + rows]),
        )
        return GroupLab(part, counts, self.seed, both, self)

    def design(self, name: str, ridge: float) -> LossDesign:
        """A closed-form loss with a ridge."""
        return replace(preset(name, self.counts), ridge=ridge)

    def head(self, design: LossDesign) -> LinearModel:
        """A head trained to the optimum with a loss, on everything."""
        bench = self._prepared
        theta = refit(
            bench.features,
            self.train.y,
            self.train.g,
            self._weight,
            design,
            tolerance=_TOLERANCE,
            curvature_dtype=bench.settings.dtype,
        )
        coef, intercept = bench.features.to_original(theta)
        return LinearModel(self.counts.classes, coef.numpy(), intercept.numpy(), 1.0)

    @cached_property
    def _prepared(self) -> Workbench:
        return self.bench("error")

    @cached_property
    def _cells(self) -> ndarray:
        return cell_codes(self.train.y, self.train.g, self.counts.n_classes, self.counts.n_groups)

    def _folds(self, cv: Any) -> Folds:
        y = self.train.y
        return make_folds(
            cv, self.train.features, y, y, self._cells, self.counts, self._weight, self.seed
        )
