"""The decision of least expected cost, from calibrated probabilities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, Real
from numpy import ndarray


def least_expected_cost(
    probabilities: Float[ndarray, "N K"], costs: Real[ndarray, "K K"]
) -> Integer[ndarray, "N"]:
    """Codes of the decisions of least expected cost, argmin_k Σ_y p_y C[y, k].

    Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, eq. 1. With the true
    probabilities no decision is better, and it needs no loss but cross-entropy; with others it is
    as good as they are. It is no argmax of logits, unless there are two classes or a class's errors
    all cost the same.

    Parameters
    ----------
    probabilities
        Calibrated for the class shares where the decisions are taken, as of
        ``predict_proba(X, prior="train")``.
    costs
        Of deciding for the column where the row is true, in the order of the probabilities.
    """
    return np.asarray((probabilities @ costs).argmin(axis=1))
