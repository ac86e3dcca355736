"""The parametric cross-entropy and the known losses that are points of it."""

from autobalance.losses.binary import (
    ParametricBinaryCrossEntropy,
    adjusted_binary_cross_entropy,
)
from autobalance.losses.parametric import ParametricCrossEntropy, adjusted_cross_entropy
from autobalance.losses.presets import (
    PRESETS,
    balanced_softmax,
    cdt,
    class_balanced,
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
    "PRESETS",
    "ParametricBinaryCrossEntropy",
    "ParametricCrossEntropy",
    "adjusted_binary_cross_entropy",
    "adjusted_cross_entropy",
    "balanced_softmax",
    "cdt",
    "class_balanced",
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
