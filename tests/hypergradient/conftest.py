"""A small problem in float64, and its dense matrices by a way of their own."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from autobalance.batches import Batch
from autobalance.hypergradient import AutogradLoss, ParametricLoss

CLASSES, GROUPS, WIDTH = 3, 2, 4


def draw_batch(size, seed, dtype=torch.float64):
    """Inputs, classes and groups; every class is there."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASSES, (size,), generator=generator)
    targets[:CLASSES] = torch.arange(CLASSES)
    groups = torch.randint(GROUPS, (size,), generator=generator)
    inputs = torch.randn(size, WIDTH, generator=generator, dtype=torch.float64)
    inputs += nn.functional.one_hot(targets, WIDTH)
    return Batch(inputs.to(dtype), targets, groups)


def draw_values(dtype=torch.float64):
    """w, l and δ that differ everywhere."""
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(3, CLASSES, GROUPS, generator=generator, dtype=torch.float64)
    return tuple((uniform + torch.tensor([0.5, -0.5, 0.5]).view(3, 1, 1)).to(dtype))


def parametric(logits, batch, weight, additive, multiplicative):
    """The parametric loss as its equation reads."""
    y, g = batch.targets, batch.group_codes
    adjusted = multiplicative.T[g] * logits + additive.T[g]
    chosen = torch.log_softmax(adjusted, 1)[torch.arange(len(y)), y]
    return -(weight[y, g] * chosen).mean()


def balanced(logits, batches):
    """Mean over the classes of their cross-entropy."""
    targets = torch.cat([batch.targets for batch in batches])
    losses = nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([losses[targets == k].mean() for k in range(CLASSES)]).mean()


def small_network(*between, seed=0, dtype=torch.float64):
    """Two linear layers of 35 parameters, with these modules between them (a tanh if none)."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        first, last = nn.Linear(WIDTH, 4), nn.Linear(4, CLASSES)
    return nn.Sequential(first, *(between or (nn.Tanh(),)), last).to(dtype)


@dataclass
class Problem:
    """A network, its training and held-out batches, and the loss twice."""

    model: nn.Module
    train: list[Batch]
    held_out: list[Batch]
    values: tuple[torch.Tensor, ...]

    @property
    def loss(self):
        """In closed form."""
        return ParametricLoss(*self.values)

    @property
    def written_out(self):
        """By autograd, from the equation."""
        alpha = [value.clone().requires_grad_() for value in self.values]
        return AutogradLoss(lambda logits, batch: parametric(logits, batch, *alpha), alpha)

    def theta(self):
        """The trainable parameters as a vector."""
        return torch.cat([p.detach().reshape(-1) for p in self._trained().values()])

    def logits(self, theta, inputs):
        """Logits at such a vector, by ``functional_call`` alone."""
        shapes = {name: p.shape for name, p in self._trained().items()}
        parts = theta.split([shape.numel() for shape in shapes.values()])
        state = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        return functional_call(self.model, state, (inputs,))

    def jacobian(self, inputs):
        """J of shape (B·K, P)."""
        return jacrev(lambda theta: self.logits(theta, inputs).reshape(-1))(self.theta())

    def _trained(self):
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


def make_problem(model=None, dtype=torch.float64, train=(12,), held_out=(15,)):
    """Batches of these sizes for a model."""
    return Problem(
        small_network(dtype=dtype) if model is None else model,
        [draw_batch(size, 10 + place, dtype) for place, size in enumerate(train)],
        [draw_batch(size, 20 + place, dtype) for place, size in enumerate(held_out)],
        draw_values(dtype),
    )


@pytest.fixture(name="make_problem", scope="session")
def _make_problem():
    return make_problem


@pytest.fixture(name="small_network", scope="session")
def _small_network():
    return small_network


@pytest.fixture
def problem():
    """The network with a tanh, 12 training and 15 held-out examples."""
    return make_problem()


@pytest.fixture(name="balanced", scope="session")
def _balanced():
    return balanced


@pytest.fixture(name="parametric", scope="session")
def _parametric():
    return parametric


@pytest.fixture
def vector():
    """A direction for ``problem``, drawn once."""
    return torch.randn(35, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
