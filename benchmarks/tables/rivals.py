"""What other libraries offer for imbalanced classes, on the same features, folds and error.

Every rival sees the features standardised, as AutoBalance's are inside, and in float32, as it keeps
them. What a rival has to choose (C, a constraint's bound) is chosen by the objective's error of the
pooled held-out predictions of the same inner folds; then it is fitted on all training examples.

* Logistic regression with ``class_weight="balanced"`` (scikit-learn).
* ``TunedThresholdClassifierCV`` (scikit-learn; two classes): the threshold of logistic regression,
  tuned for the objective's error on the same folds for every C.
* SMOTE (imbalanced-learn) before logistic regression, drawn anew inside every fold. C comes from
  every other value of the grid only: oversampled, shuttle has 255,000 training rows.
* ``ExponentiatedGradient`` (fairlearn; two classes and groups) on logistic regression. By itself
  its constraints serve parity and not the rare class, so it gets the two of its set-ups that serve
  the worst cell: equalised odds with both kinds of error costing as much as the classes are rare,
  and parity of the error rate over the (class, group) cells. Constraint and bound are chosen on the
  folds. It needs no group to predict, as no method here does, which ``ThresholdOptimizer`` would.
  Its predictions are randomised; they are drawn with a fixed seed.
* Histogram gradient boosting with balanced weights (scikit-learn, its defaults): no linear model,
  so shown beside the ranking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from fairlearn.reductions import (
    EqualizedOdds,
    ErrorRate,
    ErrorRateParity,
    ExponentiatedGradient,
)
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from numpy import ndarray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV, cross_val_predict
from sklearn.preprocessing import StandardScaler

from autobalance.contest.procedure import TrainingData
from autobalance.objectives import BoundObjective
from autobalance.search.folds import Folds
from benchmarks.tables.measure import error

BALANCED = "Logistic regression, balanced weights (scikit-learn)"
THRESHOLD = "Tuned threshold (scikit-learn)"
OVERSAMPLED = "SMOTE (imbalanced-learn)"
FAIR = "Exponentiated gradient (fairlearn)"
BOOSTED = "Gradient boosting, balanced weights (scikit-learn)"
UNRANKED = (BOOSTED,)

STRENGTHS = tuple(float(C) for C in np.logspace(-4, 4, 9))
PARITY_BOUNDS = (0.05, 0.15)
_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Fitted:
    """A rival after tuning: what was chosen and how it predicts."""

    name: str
    choice: str
    predict: Callable[[ndarray], ndarray]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Arena:
    """Standardised training examples, the inner folds and the error to be small on them."""

    x: ndarray
    y: ndarray
    g: ndarray
    pairs: list[tuple[ndarray, ndarray]]
    objective: BoundObjective
    seed: int

    @property
    def cell(self) -> ndarray:
        return self.y * self.objective.present.shape[1] + self.g


def fit_rivals(
    data: TrainingData, folds: Folds, objective: BoundObjective, seed: int
) -> Iterator[Fitted]:
    """Tune and fit every rival that applies to the data, one after the other."""
    started = time.perf_counter()
    scaler = StandardScaler().fit(data.features)

    def standard(features: ndarray) -> ndarray:
        return scaler.transform(features).astype(np.float32)

    pairs = [
        (np.flatnonzero(train), folds.row[folds.fold == f]) for f, train in enumerate(folds.train)
    ]
    arena = _Arena(standard(data.features), data.y, data.g, pairs, objective, seed)
    prepared = time.perf_counter() - started
    classes, groups = objective.present.shape
    methods: dict[str, Callable[[_Arena], tuple[str, Any]]] = {BALANCED: _balanced}
    if classes == 2:
        methods[THRESHOLD] = _tuned_threshold
    methods[OVERSAMPLED] = _oversampled
    if classes == 2 and groups > 1:
        methods[FAIR] = _fair
    methods[BOOSTED] = _boosted
    for name, method in methods.items():
        started = time.perf_counter()
        choice, model = method(arena)
        seconds = prepared + time.perf_counter() - started
        yield Fitted(name, choice, lambda x, model=model: model.predict(standard(x)), seconds)


def _logistic(C: float, **options: Any) -> LogisticRegression:
    return LogisticRegression(C=C, max_iter=1000, **options)


def _tune(
    arena: _Arena, candidates: Mapping[str, BaseEstimator], **parameters: ndarray
) -> tuple[str, Any]:
    """The candidate with the least held-out error (the first of equals), fitted on everything."""

    def held_out_error(name: str) -> float:
        predicted = cross_val_predict(
            candidates[name], arena.x, arena.y, cv=arena.pairs, params=parameters
        )
        return error(arena.objective, arena.y, arena.g, predicted)

    best = min(candidates, key=held_out_error)
    return best, clone(candidates[best]).fit(arena.x, arena.y, **parameters)


def _balanced(arena: _Arena) -> tuple[str, Any]:
    return _tune(arena, {f"C={C:g}": _logistic(C, class_weight="balanced") for C in STRENGTHS})


def _tuned_threshold(arena: _Arena) -> tuple[str, Any]:
    def minus_error(y: ndarray, predicted: ndarray, g: ndarray) -> float:
        return -error(arena.objective, y, g, predicted)

    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(minus_error).set_score_request(g=True)
        tuned = {
            f"C={C:g}": TunedThresholdClassifierCV(
                _logistic(C), scoring=scorer, cv=arena.pairs
            ).fit(arena.x, arena.y, g=arena.g)
            for C in STRENGTHS
        }
    best = max(tuned, key=lambda name: tuned[name].best_score_)
    return best, tuned[best]


def _oversampled(arena: _Arena) -> tuple[str, Any]:
    rarest = min(int(np.bincount(arena.y[train]).min()) for train, _ in arena.pairs)
    smote = SMOTE(k_neighbors=min(_NEIGHBOURS, rarest - 1), random_state=arena.seed)
    candidates = {
        f"C={C:g}": Pipeline([("smote", smote), ("head", _logistic(C))]) for C in STRENGTHS[::2]
    }
    return _tune(arena, candidates)


class _FixedDraw(ExponentiatedGradient):
    """Its randomised predictions, drawn with a fixed seed."""

    def predict(self, X: ndarray, random_state: int = 0) -> ndarray:
        return super().predict(X, random_state)


def _fair(arena: _Arena) -> tuple[str, Any]:
    strength, _ = _balanced(arena)
    head = _logistic(float(strength.removeprefix("C=")))
    positive = float(arena.y.mean())
    costs = ErrorRate(costs={"fp": positive, "fn": 1 - positive})
    candidates = {}
    for bound in PARITY_BOUNDS:
        odds, errors = (
            EqualizedOdds(difference_bound=bound),
            ErrorRateParity(difference_bound=bound),
        )
        candidates |= {
            f"equalised odds within {bound:g}, {strength}": _FixedDraw(head, odds, objective=costs),
            f"cell errors within {bound:g}, {strength}": _FixedDraw(head, errors),
        }
    # Equalised odds compare within a class, where groups and cells are the same.
    return _tune(arena, candidates, sensitive_features=arena.cell)


def _boosted(arena: _Arena) -> tuple[str, Any]:
    model = HistGradientBoostingClassifier(class_weight="balanced", random_state=arena.seed)
    return "defaults", model.fit(arena.x, arena.y)
