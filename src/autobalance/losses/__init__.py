"""The parametric cross-entropy and the known losses that are points of it."""

from autobalance.losses.binary import (
    ParametricBinaryCrossEntropy,
    adjusted_binary_cross_entropy,
)
from autobalance.losses.parametric import ParametricCrossEntropy, adjusted_cross_entropy
from autobalance.losses.presets import (
    COST_PRESETS,
    PRESETS,
    balanced_softmax,
    cdt,
    class_balanced,
    cost_adjustment,
    cost_weighted,
    cross_entropy,
    group_balanced,
    group_la,
    group_vs,
    logit_adjustment,
    preset,
    vs,
    weighted,
    weighted_adjustment,
)

__all__ = [
    "COST_PRESETS",
    "PRESETS",
    "ParametricBinaryCrossEntropy",
    "ParametricCrossEntropy",
    "adjusted_binary_cross_entropy",
    "adjusted_cross_entropy",
    "balanced_softmax",
    "cdt",
    "class_balanced",
    "cost_adjustment",
    "cost_weighted",
    "cross_entropy",
    "group_balanced",
    "group_la",
    "group_vs",
    "logit_adjustment",
    "preset",
    "vs",
    "weighted",
    "weighted_adjustment",
]
