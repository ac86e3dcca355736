"""Random values and batches for the tests of the losses."""

import pytest
import torch


class Draws:
    """Seeded draws, in float64 unless stated."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def normal(self, *shape, dtype=torch.float64):
        return torch.randn(shape, generator=self.generator, dtype=dtype)

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def codes(self, size, *shape):
        return torch.randint(size, shape, generator=self.generator)

    def values(self, shape):
        """Weights, additive and multiplicative adjustments that differ everywhere."""
        return self.uniform(*shape) + 0.5, self.normal(*shape), self.uniform(*shape) + 0.5

    def batch(self, dense=(), dtype=torch.float64):
        """Logits, classes and groups of 11 examples, 4 classes and 3 groups."""
        logits = self.normal(11, 4, *dense, dtype=dtype)
        return logits, self.codes(4, 11, *dense), self.codes(3, 11)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order():
    torch.manual_seed(0)


@pytest.fixture
def draw():
    """Draws of its own for each test."""
    return Draws()
