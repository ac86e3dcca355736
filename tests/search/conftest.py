"""Small imbalanced data and the pieces of a search on it, in double precision."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from autobalance.counts import Counts
from autobalance.data.features import FeatureMatrix
from autobalance.losses.presets import preset
from autobalance.objectives import Objective
from autobalance.search.exact import ExactProblem
from autobalance.search.folds import Folds, make_folds
from autobalance.space import SearchSpace


@dataclass
class SmallData:
    """Random examples whose classes and groups overlap, every cell of at least four examples."""

    x: np.ndarray
    y: np.ndarray
    g: np.ndarray
    sample_weight: np.ndarray
    counts: Counts

    @classmethod
    def draw(cls, seed=0, rows=90, features=5, classes=3, groups=2, weighted=False):
        rng = np.random.default_rng(seed)
        share = np.geomspace(1, 0.25, classes)
        y = rng.choice(classes, size=rows, p=share / share.sum())
        g = (rng.random(rows) < 0.3 + 0.4 * (y == 0)).astype(int) * (groups - 1)
        for cell in range(classes * groups):  # every cell is there, also in every fold
            y[4 * cell : 4 * cell + 4] = cell // groups
            g[4 * cell : 4 * cell + 4] = cell % groups
        centres = rng.normal(size=(classes, features))
        shifts = rng.normal(size=(groups, features))
        x = 0.8 * centres[y] + 0.7 * shifts[g] + rng.normal(size=(rows, features))
        weight = rng.uniform(0.5, 2.0, rows) if weighted else np.ones(rows)
        return cls.of(x, y, g if groups > 1 else None, weight)

    @classmethod
    def of(cls, x, y, g=None, sample_weight=None):
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        groups = None if g is None else tuple(range(int(g.max()) + 1))
        counts = Counts.from_codes(y, g, tuple(range(int(y.max()) + 1)), groups, weight)
        return cls(x, y, np.zeros_like(y) if g is None else g, weight, counts)

    @property
    def cell(self):
        return self.y * self.counts.n_groups + self.g

    def folds(self, cv=2, seed=0) -> Folds:
        return make_folds(
            cv, self.x, self.y, self.y, self.cell, self.counts, self.sample_weight, seed
        )

    def features(self, dtype=torch.float64, **options) -> FeatureMatrix:
        return FeatureMatrix(
            torch.from_numpy(self.x), torch.from_numpy(self.sample_weight), dtype=dtype, **options
        )

    def start(self, name="cross-entropy", ridge=0.05):
        return replace(preset(name, self.counts), ridge=ridge)

    def space(self, start="cross-entropy", ridge=0.05, **options) -> SearchSpace:
        return SearchSpace.build(self.start(start, ridge), **options)

    def problem(
        self,
        space,
        objective="balanced",
        *,
        folds=None,
        features=None,
        empty_cells="error",
        positive_class=None,
        **options,
    ) -> ExactProblem:
        precise = {
            "curvature_dtype": torch.float64,
            "tolerance": 1e-10,
            "hypergradient_tolerance": 1e-10,
        }
        return ExactProblem(
            features or self.features(),
            self.y,
            self.g,
            self.sample_weight,
            folds or self.folds(),
            space,
            (
                objective
                if isinstance(objective, Objective)
                else Objective.parse(objective, positive_class)
            ).bind(self.counts, empty_cells),
            **{**precise, **options},
        )


@pytest.fixture
def small_data():
    return SmallData
