"""Images and vectors to change, and policies that change them."""

import numpy as np
import pytest
import torch

from autobalance.augmentation.operations import OPERATIONS, VECTORS
from autobalance.augmentation.policy import Policy

SIZE, LARGE = 8, 24


def draw_inputs(n=6, takes="images", seed=0, dtype=torch.float64, channels=3, size=SIZE):
    """Images whose values stay off the ends of [0, 1] unless they are large, or vectors."""
    generator = torch.Generator().manual_seed(seed)
    if takes == VECTORS:
        return torch.randn(n, 5, dtype=torch.float64, generator=generator).to(dtype)
    images = torch.rand(n, channels, size, size, dtype=torch.float64, generator=generator)
    if dtype == torch.uint8:
        return (256 * images).to(dtype)
    return (images if size == LARGE else 0.2 + 0.6 * images).to(dtype)


def policy_of(*names, classes=3, groups=2, probability=(0.3, 0.8), strength=(0.2, 0.9), seed=0):
    """One chain of operations, each cell with values of its own between these."""
    rng = np.random.default_rng(seed)
    shape = (classes, groups, 1, len(names))
    largest = np.array([OPERATIONS[name].largest for name in names])
    largest = np.where(np.isinf(largest), 1.0, largest)
    magnitude = rng.uniform(*strength, shape) * largest
    return Policy((names,), rng.uniform(*probability, shape), magnitude)


@pytest.fixture(name="draw_inputs", scope="session")
def _draw_inputs():
    return draw_inputs


@pytest.fixture(name="policy_of", scope="session")
def _policy_of():
    return policy_of
