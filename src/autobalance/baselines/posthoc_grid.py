"""The published post-hoc baseline: two factors and two biases, tuned on the data it is scored on.

It exists to repeat a published table. What it reports is the least error that *any* such correction
makes on these very examples, and no estimate of the error on others: for that use
:mod:`autobalance.baselines.vector_scaling`, which is tuned on the folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.errors import DataError
from autobalance.evaluation import cell_codes, cell_errors
from autobalance.objectives import BoundObjective

RATIOS = tuple(10.0 ** (step / 40) for step in sorted(range(-40, 41), key=abs))
"""Factors of class 1 by that of class 0: from 1/10 to 10 in steps of 6%, those next to 1 first."""


@dataclass(frozen=True, eq=False)
class TunedOnWhatItScores:
    """Factors w, biases b, and the objective's error on the very data that they were chosen on.

    The decision is ``(weight * logits + bias).argmax(1)``.
    """

    weight: Float[ndarray, "2"]
    bias: Float[ndarray, "2"]
    value: float


def tuned_on_what_it_scores(
    logits: Float[ndarray, "M K"],
    y: Integer[ndarray, "M"],
    g: Integer[ndarray, "M"] | None,
    objective: BoundObjective,
) -> TunedOnWhatItScores:
    """Choose w and b of w ⊙ z + b, tuned on the data it is scored on, as published.

    AutoBalance (Li et al., NeurIPS 2021, appendix B, "Post-hoc baseline", Table 5) takes w and b
    from a grid by their error *on the test data*, which it says "makes this baseline stronger than
    it actually is". With two classes only w₁ z₁ + b₁ − w₀ z₀ − b₀ decides, so that of the four
    numbers two count: the ratio w₁/w₀, which is taken from :data:`RATIOS`, and b₁ − b₀, for which
    every place between two neighbouring examples is tried. No grid of biases can do better.

    Parameters
    ----------
    logits
        Logits of two classes.
    y, g
        Codes of class and group; ``g`` is ``None`` without groups.
    objective
        Such as group-balanced, or 0.9*group-balanced+0.1*equalized-odds. Cells without an example
        here are left out; the plain error speaks about the shares of the cells here.

    Returns
    -------
    TunedOnWhatItScores
        The first of equals, with ratios next to 1 first.

    Raises
    ------
    DataError
        If there are not two classes, a logit is not finite, or codes and logits do not go together.
    """
    K, G = objective.present.shape
    if logits.shape[1] != 2 or K != 2:
        raise DataError(
            f"there are logits of {logits.shape[1]} classes and an objective of {K}, but the "
            "published grid is for two; use vector_scaling, which is tuned on the folds"
        )
    if len(logits) != len(y) or len(y) == 0 or not np.isfinite(logits).all():
        raise DataError(
            f"there are {len(logits)} rows of logits and {len(y)} class codes; give at least one "
            "code, and a row of finite logits for each"
        )
    z = logits.astype(np.float64)
    cell = cell_codes(y, g, K, G)
    examples = np.bincount(cell, minlength=K * G).reshape(K, G)
    shares = torch.from_numpy(examples / len(y))
    measured = objective.among(examples > 0)
    error = torch.vmap(lambda errors: measured.risk(errors, shares, sharpness=None))

    least, weight, bias = np.inf, np.ones(2), np.zeros(2)
    for ratio in RATIOS:
        tried = np.array([ratio**-0.5, ratio**0.5])
        thresholds, errors = _every_threshold(z @ (tried * (-1, 1)), cell, examples)
        values = error(torch.from_numpy(errors))
        at = int(values.argmin())
        if float(values[at]) < least:
            least, weight = float(values[at]), tried
            bias = thresholds[at] * np.array([0.5, -0.5])
    decided = cell_errors(y, (weight * z + bias).argmax(1), g, K, G)
    return TunedOnWhatItScores(weight, bias, objective.error(decided, shares.numpy()))


def _every_threshold(
    lead: Float[ndarray, "M"], cell: Integer[ndarray, "M"], examples: Integer[ndarray, "2 G"]
) -> tuple[Float[ndarray, "T"], Float[ndarray, "T 2 G"]]:
    """Thresholds of class 1's lead, one in each gap and at either end, and their cell errors."""
    order = np.argsort(lead)
    lead, of_cell = lead[order], cell[order, None] == np.arange(examples.size)
    middle = np.concatenate([[lead[0] - 1], (lead[1:] + lead[:-1]) / 2, [lead[-1] + 1]])
    is_gap = np.concatenate([[True], lead[1:] > lead[:-1], [True]])
    below = np.concatenate([np.zeros((1, examples.size), int), of_cell.cumsum(0)])[is_gap]
    below = below.reshape(-1, *examples.shape)
    wrong = np.stack([examples[0] - below[:, 0], below[:, 1]], 1)
    return middle[is_gap], wrong / np.maximum(examples, 1)
