"""Corrections of a trained model's logits: for a prior, for an objective, or for calibration."""

from autobalance.posthoc.correction import PosthocCorrection
from autobalance.posthoc.decision_rule import least_expected_cost
from autobalance.posthoc.tuning import (
    SMALLEST_SCALE,
    logit_adjustment_bias,
    minimise,
    tune_bias,
    tune_scaling,
)

__all__ = [
    "SMALLEST_SCALE",
    "PosthocCorrection",
    "least_expected_cost",
    "logit_adjustment_bias",
    "minimise",
    "tune_bias",
    "tune_scaling",
]
