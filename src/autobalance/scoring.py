"""The objectives as metrics and as scikit-learn scorers."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.metrics import make_scorer

from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.labels import Label, as_label
from autobalance.multilabel import label_counts, label_errors
from autobalance.objectives import Objective
from autobalance.sensitive import encode_sensitive


def objective_error(
    y_true: Any,
    y_pred: Any,
    *,
    objective: str = "balanced",
    sensitive_features: Any = None,
    sample_weight: Any = None,
    positive_class: Label = None,
    costs: Any = None,
) -> float:
    """Error-rate twin of an objective, as a fraction, or the mean cost: lower is better.

    Cells without an example in ``y_true`` are left out.

    Parameters
    ----------
    y_true, y_pred
        True and predicted labels, shape (N,); or 0 and 1 for each of L labels, (N, L), NaN where
        the true one is missing. The labels are then groups:
        :mod:`autobalance.multilabel` says what the objectives mean.
    objective
        A name or a sum, see :mod:`autobalance.objectives`.
    sensitive_features
        Groups of the examples, one or several columns; needed by objectives that compare groups.
    sample_weight
        Weights of the examples.
    positive_class
        For ``equal-opportunity``.
    costs
        For ``cost``: what decisions cost, as :meth:`Costs.of` takes them, for the labels of either.

    Raises
    ------
    ObjectiveError
        If the objective cannot be read or needs groups or costs that are not there.
    DataError
        If lengths differ or weights are negative.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.shape != y_pred.shape or y_true.ndim not in (1, 2):
        raise DataError(f"y_true has shape {y_true.shape} but y_pred {y_pred.shape}")
    weight = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight, float)
    if weight.shape != y_true.shape[:1] or (weight < 0).any() or not weight.any():
        raise DataError(
            f"sample_weight needs {len(y_true)} values, none negative and some positive"
        )
    if y_true.ndim == 2 and costs is not None:
        raise DataError("costs are of the classes of one target, but there are several labels")
    if y_true.ndim == 2:
        return _error_of_labels(y_true, y_pred, objective, sensitive_features, weight)
    if costs is not None:
        return _mean_cost(objective, costs, y_true, y_pred, weight)
    classes, y = np.unique(y_true[weight > 0], return_inverse=True)
    groups = None
    if sensitive_features is not None:
        groups = encode_sensitive(sensitive_features, len(y_true))
    g = None if groups is None else groups.codes[weight > 0]
    counts = Counts.from_codes(
        y.astype(np.int64),
        g,
        tuple(as_label(label) for label in classes),
        None if groups is None else groups.labels,
        weight[weight > 0],
    )
    wrong = (y_true != y_pred)[weight > 0] * weight[weight > 0]
    cell = y * counts.n_groups + (0 if g is None else g)
    totals = np.bincount(cell, wrong, counts.values.size).reshape(counts.values.shape)
    with np.errstate(invalid="ignore"):
        errors = totals / counts.values
    bound = Objective.parse(objective, positive_class).bind(counts, "drop")
    return bound.error(errors, counts.frequencies)


def _error_of_labels(
    y_true: ndarray, y_pred: ndarray, objective: str, sensitive: Any, weight: ndarray
) -> float:
    if not np.isin(y_pred, (0, 1)).all():
        raise DataError("y_pred holds something else than 0 and 1; give decisions, such as z > 0")
    groups = None if sensitive is None else encode_sensitive(sensitive, len(y_true))
    g, names = (None, None) if groups is None else groups
    counts = label_counts(y_true, None, g, names, weight)
    errors = label_errors(y_pred, y_true, g, 1 if names is None else len(names), weight)
    return Objective.parse(objective).bind(counts, "drop").error(errors, counts.frequencies)


def _mean_cost(
    objective: str, costs: Any, y_true: ndarray, y_pred: ndarray, weight: Float[ndarray, "N"]
) -> float:
    labels, codes = np.unique(np.concatenate([y_true, y_pred]), return_inverse=True)
    names = [as_label(label) for label in labels]
    parsed = Objective.parse(objective, costs=Costs.of(costs, names))
    assert parsed.costs is not None  # they were just given
    paid = parsed.costs.of_classes(names)[codes[: len(y_true)], codes[len(y_true) :]]
    return parsed.terms[0][1] * float(np.average(paid, weights=weight))


def objective_scorer(objective: str, positive_class: Label = None, costs: Any = None) -> Any:
    """A scikit-learn scorer, greater is better: minus :func:`objective_error`.

    With metadata routing switched on (``sklearn.set_config(enable_metadata_routing=True)``) the
    scorer asks for ``sensitive_features``, which ``cross_validate`` and ``GridSearchCV`` then pass.

    Parameters
    ----------
    objective
        A name or a sum.
    positive_class
        For ``equal-opportunity``.
    costs
        For ``cost``: :class:`~autobalance.costs.Costs` or a ``DataFrame`` with labels, since not
        every part of the data need show every class.
    """
    from sklearn import get_config

    named = None if costs is None else Costs.of(costs, ())
    Objective.parse(objective, positive_class, named)
    scorer = make_scorer(
        objective_error,
        greater_is_better=False,
        objective=objective,
        positive_class=positive_class,
        costs=named,
    )
    if get_config()["enable_metadata_routing"]:
        scorer.set_score_request(sensitive_features=True)
    return scorer
