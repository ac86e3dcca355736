"""Differences between two methods over several runs, with one interval for their mean."""

from __future__ import annotations

import numpy as np
import torch

from autobalance.bootstrap import REPLICATES, Estimate, draw_cell_means, pivotal_estimate
from autobalance.counts import Counts
from autobalance.evaluation import cell_codes, cell_means
from autobalance.objectives import BoundObjective


def mean_paired_difference(
    objective: BoundObjective,
    counts: Counts,
    y: np.ndarray,
    g: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray,
    random_state: int = 0,
) -> Estimate:
    """How much larger the error of ``predicted`` is than that of ``reference``, on average.

    The two have shape (runs, N): predictions for the same N test examples in the same runs. Each
    replicate draws test examples once, for both methods and all runs, and takes the mean of the
    runs' differences. So the interval speaks of the test examples that might have been drawn, for
    the mean of these runs; the mean of the runs' own intervals would be about as wide as one run's.
    """
    runs, (K, G) = len(predicted), counts.values.shape
    both = np.concatenate([predicted, reference])
    cell = cell_codes(y, g, K, G)
    frequencies = torch.from_numpy(counts.frequencies)
    risk = torch.vmap(lambda errors: objective.risk(errors, frequencies, sharpness=None))

    def mean_difference(errors: np.ndarray) -> np.ndarray:
        """From errors (2 runs, R, K, G) to (R,)."""
        flat = torch.from_numpy(errors.reshape(-1, K, G))
        values = risk(flat).numpy().reshape(2, runs, -1)
        return np.asarray((values[0] - values[1]).mean(0))

    losses = np.stack([objective.decision_losses(y, each) for each in both])
    draws = draw_cell_means(
        losses,
        cell,
        K * G,
        np.ones(len(y)),
        REPLICATES,
        random_state,
    )
    errors = np.stack([cell_means(each, cell, np.ones(len(y)), K, G) for each in losses])
    return pivotal_estimate(float(mean_difference(errors[:, None])[0]), mean_difference(draws))
