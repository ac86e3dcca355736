"""How a loss is designed, whatever the examples: for all of them, and for each outer part alike.

A verdict judges procedures, not losses: everything that looks at the data (scaling, inner folds,
search, tuned strengths, retraining) is repeated on each part from which others are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.augmentation.policy import Policy
from autobalance.bench import DEFAULT_RIDGE, Bench
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError, ObjectiveError
from autobalance.labels import Label
from autobalance.losses.presets import preset
from autobalance.network_bench import NetworkBench
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import Objective
from autobalance.search.augmented_heads import require_balls
from autobalance.search.constraints import Constraint
from autobalance.search.folds import Folds, make_folds
from autobalance.search.online_settings import network_parameters
from autobalance.search.settings import AUTO, SearchSettings
from autobalance.space import SearchSpace
from autobalance.starts import default_starts
from autobalance.workbench import DEFAULT_PARAMETERS as HEAD_PARAMETERS
from autobalance.workbench import Workbench

BALL = "ball"
"""A ball around each example, whose radius for each cell is searched."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Examples with codes of class and group, and what a splitter may look at.

    Parameters
    ----------
    features
        Shape (N, D), or images (N, C, H, W) of uint8, which need a network.
    y, g
        Codes of class and group, in the order of ``classes`` and ``groups``; ``g`` is all 0
        without groups.
    weight
        Shape (N,), not negative.
    classes, groups
        Labels; ``groups`` is ``None`` without groups.
    labels, units
        The classes as the user gave them, and units that a splitter keeps together.
    """

    features: ndarray
    y: Integer[ndarray, "N"]
    g: Integer[ndarray, "N"]
    weight: Float[ndarray, "N"]
    classes: tuple[Label, ...]
    groups: tuple[Label, ...] | None = None
    labels: Any = None
    units: Any = None

    def __len__(self) -> int:
        return len(self.y)

    def __sizeof__(self) -> int:
        """With the features: Dask goes by it to send them to each worker once."""
        return object.__sizeof__(self) + self.features.nbytes

    @cached_property
    def counts(self) -> Counts:
        """Weighted examples per cell."""
        used = self.weight > 0
        return Counts.from_codes(
            self.y[used],
            None if self.groups is None else self.g[used],
            self.classes,
            self.groups,
            self.weight[used],
        )

    @property
    def of_images(self) -> bool:
        """Whether the examples are images."""
        return self.features.ndim > 2

    @property
    def cell(self) -> Integer[ndarray, "N"]:
        """Code of each example's (class, group) cell."""
        return np.asarray(self.y * self.counts.n_groups + self.g)

    def folds(self, cv: Any, seed: int | None) -> Folds:
        """Split these examples; see :func:`~autobalance.search.folds.make_folds`."""
        return make_folds(
            cv,
            self.features,
            self.y if self.labels is None else self.labels,
            self.y,
            self.cell,
            self.counts,
            self.weight,
            seed,
            self.units,
        )

    def part(self, rows: Integer[ndarray, "M"]) -> TrainingData:
        """Some of the examples, with the same classes and groups."""
        return replace(
            self,
            features=self.features[rows],
            y=self.y[rows],
            g=self.g[rows],
            weight=self.weight[rows],
            labels=None if self.labels is None else np.asarray(self.labels)[rows],
            units=None if self.units is None else np.asarray(self.units)[rows],
        )


@dataclass(frozen=True, eq=False)
class Procedure:
    """From examples to a workbench and a search space, by the same rules each time.

    Parameters
    ----------
    objective
        Not yet bound: cells can be missing in a part.
    cv
        Held-out data within the examples; see :func:`~autobalance.search.folds.make_folds`.
        Positions must be a list of pairs, since they are read more than once.
    seed
        Of the folds.
    empty_cells
        ``"error"`` or ``"drop"``.
    parameters, dictionary, parametrisation
        What is searched; see :class:`~autobalance.space.SearchSpace`.
    start
        Name of a preset, a design for the same classes and groups, or ``"auto"``: the best on the
        folds of those that are consistent with the objective. If the ridge is not searched, that
        would be no fair comparison, and the first of them is taken.
    ridge
        Where that of a linear head starts, if the start has none. A network has the weight decay
        of its training, whatever the start.
    constraints
        Limits on other objectives.
    settings
        How to search.
    standardise
        See :class:`~autobalance.data.features.FeatureMatrix`.
    network
        Which network to train and how, in place of a linear head.
    sub_policies
        Operations of the augmentation policy that a start gets which has none; see
        :class:`~autobalance.augmentation.policy.Policy`.
    policy
        The same for a linear head: ``"ball"`` or a policy of balls; see
        :mod:`~autobalance.search.augmented_heads`.
    """

    objective: Objective
    cv: Any = 5
    seed: int | None = 0
    empty_cells: str = "error"
    parameters: str | Sequence[str] = AUTO
    dictionary: str | dict[str, str] = AUTO
    parametrisation: str = "exp"
    start: str | LossDesign = AUTO
    ridge: float = DEFAULT_RIDGE
    constraints: tuple[Constraint, ...] = ()
    settings: SearchSettings = field(default_factory=SearchSettings)
    standardise: bool = True
    network: NetworkSettings | None = None
    sub_policies: tuple[tuple[str, ...], ...] = ()
    policy: str | Policy | None = None

    def check(self, counts: Counts) -> None:
        """Refuse at once what would be refused after a while.

        Raises
        ------
        DataError, ObjectiveError, DesignError
            If the objective, the start, what is searched or the held-out data do not go with these
            counts or with a network.
        """
        self.objective.bind(counts, self.empty_cells)
        if self.constraints and self.objective.about_costs:
            raise ObjectiveError(
                "limits on error rates cannot be kept while costs are minimised; leave the "
                "constraints out, and let the errors that they are about cost more"
            )
        self._check_policy()
        SearchSpace.build(
            self._given_start(counts),
            self.parameters_used,
            self.dictionary,
            self.parametrisation,
        )
        _ = self.held_out
        if self.network is None:
            return
        if self.constraints:
            raise DataError(
                "constraints are kept by the exact search of linear heads only; leave them or the "
                "model out"
            )
        if self.network.training.optimizer is not None and "ridge" in self.parameters_used:
            raise DataError(
                "the ridge of a network is the weight decay of its default optimizer; leave it out "
                "of what is searched, or the optimizer of your own"
            )

    @property
    def parameters_used(self) -> Sequence[str]:
        """What is searched, also where that was left open."""
        if self.network is not None:
            return network_parameters(self.parameters, self.objective)
        names = (self.parameters,) if isinstance(self.parameters, str) else self.parameters
        if tuple(names) != (AUTO,):
            return names
        with_balls = self.policy or (isinstance(self.start, LossDesign) and self.start.policy)
        return (*HEAD_PARAMETERS, "magnitude") if with_balls else HEAD_PARAMETERS

    def bench(self, data: TrainingData) -> Bench:
        """Folds, prepared features and the bound objective.

        Raises
        ------
        DataError, ObjectiveError
            If the data do not go together with the objective, the folds or the model.
        """
        counts = data.counts
        objective = self.objective.bind(counts, self.empty_cells)
        shared = (
            data.features,
            data.y,
            data.g,
            data.weight,
            counts,
            data.folds(self.held_out, self.seed),
        )
        if self.network is None:
            return Workbench(
                *shared,
                objective,
                self.settings,
                constraints=[limit.bind(counts, self.empty_cells) for limit in self.constraints],
                standardise=self.standardise,
            )
        if len(np.unique(data.weight)) > 1:
            raise DataError(
                "networks are trained without sample weights, of which several values were given; "
                "leave the weights or the model out"
            )
        return NetworkBench(
            *shared,
            objective,
            self.settings,
            self.network,
            standardise=self.standardise,
            seed=self.seed or 0,
        )

    def space(self, bench: Bench) -> SearchSpace:
        """What is searched on ``bench``; finding the best start takes a few short searches.

        Raises
        ------
        DesignError
            If the start was made for other classes or groups, or a name is unknown.
        """
        used = bench.sample_weight > 0
        cell = bench.y * bench.counts.n_groups + bench.g
        shape = bench.counts.values.shape
        return SearchSpace.build(
            self._start(bench),
            self.parameters_used,
            self.dictionary,
            self.parametrisation,
            bench.folds.held_out_share,
            np.bincount(cell[used], minlength=bench.counts.values.size)
            .reshape(shape)
            .astype(np.float64),
        )

    def on_part(self, cv: Any, part: int) -> Procedure:
        """The same for a part of the examples, in which a rare cell may be missing."""
        network = self.network
        if network is not None and network.checkpoints is not None:
            network = replace(network, checkpoints=network.checkpoints / f"part-{part + 1}")
        return replace(self, cv=cv, empty_cells="drop", network=network)

    @property
    def held_out(self) -> Any:
        """Held-out data as :func:`~autobalance.search.folds.make_folds` takes it.

        Raises
        ------
        DataError
            If it is not one split for a network.
        """
        if self.network is None:
            return self.cv
        if isinstance(self.cv, (int, np.integer)) and not isinstance(self.cv, bool):
            if self.cv < 2:
                raise DataError(f"cv is {self.cv}; use at least 2 (which holds out a half)")
            return 1 / int(self.cv)
        if isinstance(self.cv, float) or (isinstance(self.cv, list) and len(self.cv) == 1):
            return self.cv
        raise DataError(
            "a network is searched on one split: let cv be a number (5 holds out a fifth), a "
            "share, or a list of one pair of positions"
        )

    def _start(self, bench: Bench) -> LossDesign:
        if self.start == AUTO and "ridge" in self.parameters_used:
            return self._with_policy(bench.best_start(self._ridge), bench.starting_radius)
        return self._given_start(bench.counts, bench.starting_radius)

    def _with_policy(self, start: LossDesign, radius: float) -> LossDesign:
        if start.policy is not None or not (self.sub_policies or self.policy):
            return start
        if isinstance(self.policy, Policy):
            return replace(start, policy=self.policy)
        counts = start.counts
        if self.policy == BALL:
            return replace(start, policy=Policy.ball(np.full(counts.values.shape, radius)))
        policy = Policy.uniform(counts.n_classes, counts.n_groups, self.sub_policies)
        return replace(start, policy=policy)

    def _check_policy(self) -> None:
        """Refuse an augmentation that the model cannot be trained with."""
        if isinstance(self.policy, str) and self.policy != BALL:
            raise DesignError(
                f"augmentation is {self.policy!r}; use 'ball', a policy made with Policy.ball, or "
                "None"
            )
        if self.network is not None:
            if self.policy is not None:
                raise DataError(
                    "this augmentation is a linear head's; leave it or the model out, or give a "
                    "network's policy in the starting design to search_and_retrain"
                )
            return
        of_start = self.start.policy if isinstance(self.start, LossDesign) else None
        for policy in (self.policy, of_start):
            if isinstance(policy, Policy):
                require_balls(policy)

    @property
    def _ridge(self) -> float:
        """Of a head, or the weight decay of a network."""
        return self.ridge if self.network is None else self.network.training.weight_decay

    def _given_start(self, counts: Counts, radius: float = Bench.starting_radius) -> LossDesign:
        """The start as far as it is known without trying any."""
        if isinstance(self.start, str):
            first = default_starts(self.objective)[0]
            name = first if self.start == AUTO else self.start
            design = preset(name, counts, self.objective.costs)
            return self._with_policy(replace(design, ridge=self._ridge), radius)
        made_for = self.start.counts
        if (made_for.classes, made_for.groups) != (counts.classes, counts.groups):
            raise DesignError(
                "the starting design was made for other classes or groups than those of the data; "
                "use one made for the same labels, a preset, or 'auto'"
            )
        return self._with_policy(
            replace(
                self.start,
                counts=counts,
                ridge=self._ridge
                if self.network is not None or self.start.ridge is None
                else self.start.ridge,
            ),
            radius,
        )
