"""A head trained on all examples, once its loss has been found."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from autobalance.data.features import FeatureMatrix
from autobalance.design import LossDesign
from autobalance.policy_space import PolicySpace
from autobalance.search.augmented_heads import heads_for
from autobalance.search.moved_features import DEFAULT_DRAWS, Draws
from autobalance.space import SearchSpace

logger = logging.getLogger(__name__)


def refit(
    features: FeatureMatrix,
    target: Integer[ndarray, "N"],
    group: Integer[ndarray, "N"],
    sample_weight: Float[ndarray, "N"],
    design: LossDesign,
    start: Float[Tensor, "K E"] | None = None,
    tolerance: float = 1e-6,
    curvature_dtype: torch.dtype = torch.float32,
    draws: Draws = DEFAULT_DRAWS,
) -> Float[Tensor, "K E"]:
    """Train one head with the design on all the examples, and on the balls of its policy.

    The ridge multiplies the mean loss, so its value carries over from the folds.
    """
    share = torch.from_numpy(sample_weight / sample_weight.sum())[None]
    heads = heads_for(design.policy, draws)(
        features,
        torch.from_numpy(target).long(),
        torch.from_numpy(group).long(),
        share,
        design.counts.n_classes,
        curvature_dtype=curvature_dtype,
        tolerance=tolerance,
    )
    if start is not None:
        heads.theta = start[None].double()
    policy = None if design.policy is None else PolicySpace(design.policy, {})
    space = SearchSpace(design, {}, False, policy=policy)
    heads.set_loss(space.decode(torch.zeros(0, dtype=torch.float64)))
    if not heads.fit():
        logger.warning("training stalled before its tolerance; raise the ridge")
    return heads.theta[0]
