"""Whether probabilities mean what they say: reliability curves and the calibration error.

A curve is of the predicted class, whichever it is, or of one class against the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

BINS, CLASS_BINS = 15, 8


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """How often what is stated comes true, among examples of similar probability.

    Parameters
    ----------
    confidence
        Shape (B,), ascending: mean probability in each bin, of the predicted class or of one class.
    accuracy
        Shape (B,): share of the examples in which it is right, or which are of the class.
    weight
        Shape (B,): share of the examples in the bin.
    """

    confidence: Float[ndarray, "B"]
    accuracy: Float[ndarray, "B"]
    weight: Float[ndarray, "B"]

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of accuracy and confidence over the examples, in [0, 1]."""
        return float(self.weight @ np.abs(self.accuracy - self.confidence))

    def to_json(self) -> dict[str, Any]:
        """The curve as the metrics file holds it."""
        columns = {
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "weight": self.weight,
        }
        return {
            "ece": self.expected_calibration_error,
            "bins": [
                dict(zip(columns, map(float, row), strict=True))
                for row in zip(*columns.values(), strict=True)
            ],
        }


def reliability_curve(
    probabilities: Float[ndarray, "N K"],
    y: Integer[ndarray, "N"],
    weight: Float[ndarray, "N"] | None = None,
    bins: int = BINS,
) -> ReliabilityCurve:
    """Accuracy of the most probable class by its probability, in bins of equal weight.

    Bins of equal width, as first proposed, leave most bins almost empty where the confidences crowd
    near 1, as they do on imbalanced data, and put nearly everything into one bin that averages
    over- and underconfidence out. Bins of equal mass have the smaller bias for the same number of
    examples (Roelofs, Cain, Shlens and Mozer, "Mitigating bias in calibration error estimation",
    AISTATS 2022).

    Parameters
    ----------
    probabilities
        Rows sum to 1.
    y
        Codes of the true classes.
    weight
        Weight of each example; ``None`` counts every example as one. The shares of the classes by
        weight should be those of the prior that the probabilities refer to; see
        :func:`~autobalance.calibration.weight_for`.
    bins
        Number of bins. Examples of the same confidence share one, so fewer may be filled.
    """
    weight = np.ones(len(y)) if weight is None else weight
    right = probabilities.argmax(axis=1) == y
    return _binned(probabilities.max(axis=1), right, weight, weight, bins)


def class_reliability_curve(
    probabilities: Float[ndarray, "N K"],
    y: Integer[ndarray, "N"],
    k: int,
    weight: Float[ndarray, "N"] | None = None,
    bins: int = CLASS_BINS,
) -> ReliabilityCurve:
    """Share of class ``k`` by its probability.

    The probabilities of a rare class can be far off where those of the predicted classes, which
    are mostly frequent ones, are right (class-wise calibration: Kull et al., NeurIPS 2019). Most
    rows have next to none of it, and bins of equal weight would put its own rows into one. So each
    bin expects the same number of them, by what is stated. Parameters are those of
    :func:`reliability_curve`.
    """
    stated = probabilities[:, k]
    weight = np.ones(len(y)) if weight is None else weight
    mass = weight * np.maximum(stated, np.finfo(np.float64).tiny)
    return _binned(stated, y == k, weight, mass, bins)


def _binned(
    stated: Float[ndarray, "N"],
    true: Bool[ndarray, "N"],
    weight: Float[ndarray, "N"],
    mass: Float[ndarray, "N"],
    bins: int,
) -> ReliabilityCurve:
    """The curve over bins that hold equal sums of ``mass``."""
    levels, level = np.unique(stated, return_inverse=True)
    held = np.bincount(level, mass, len(levels))
    middle = (np.cumsum(held) - held / 2) / held.sum()
    code = np.minimum((middle * bins).astype(np.int64), bins - 1)[level]
    total = np.bincount(code, weight, bins)
    filled = total > 0

    def mean(values: Float[ndarray, "N"]) -> Float[ndarray, "B"]:
        return np.asarray(np.bincount(code, weight * values, bins)[filled] / total[filled])

    return ReliabilityCurve(
        mean(stated), mean(true.astype(np.float64)), total[filled] / total.sum()
    )


def reliability_by_part(
    probabilities: Mapping[str, Float[ndarray, "N K"]],
    y: Integer[ndarray, "N"],
    g: Integer[ndarray, "N"],
    weight: Float[ndarray, "N"],
    n_groups: int | None,
) -> dict[str, Any]:
    """Curves of every class against the rest, and of the predicted class in every group.

    Parameters
    ----------
    probabilities
        Several for the same examples, by name, such as ``raw`` and ``corrected``.
    y, g, weight
        Codes of the classes and groups, and what each example weighs.
    n_groups
        How many groups there are; ``None`` for none, whose curves then are ``None``.

    Returns
    -------
    dict
        ``classes`` and ``groups``: for each a dict with a curve by name as the metrics file holds
        it, or ``None`` for a class or group without an example that weighs anything.
    """
    n_classes = next(iter(probabilities.values())).shape[1]

    def of_class(k: int) -> dict[str, Any] | None:
        if not weight[y == k].sum() > 0:
            return None
        return {
            name: class_reliability_curve(p, y, k, weight).to_json()
            for name, p in probabilities.items()
        }

    def of_group(j: int) -> dict[str, Any] | None:
        rows = g == j
        if not weight[rows].sum() > 0:
            return None
        return {
            name: reliability_curve(p[rows], y[rows], weight[rows]).to_json()
            for name, p in probabilities.items()
        }

    return {
        "classes": [of_class(k) for k in range(n_classes)],
        "groups": None if n_groups is None else [of_group(j) for j in range(n_groups)],
    }


def expected_calibration_error(
    probabilities: Float[ndarray, "N K"],
    y: Integer[ndarray, "N"],
    weight: Float[ndarray, "N"] | None = None,
    bins: int = BINS,
) -> float:
    """Expected calibration error of the most probable class, in [0, 1].

    Σ_b weight_b abs(accuracy_b − confidence_b) over the bins of :func:`reliability_curve` (Guo,
    Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017). Even exact
    probabilities have a positive one on finitely many examples: up to about 0.4 √(bins / N).
    """
    return reliability_curve(probabilities, y, weight, bins).expected_calibration_error
