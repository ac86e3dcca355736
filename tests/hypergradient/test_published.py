"""Algorithm 2 against its equations as dense matrices, and against the parts it is taken from."""

import pytest
import torch
from torch import nn
from torch.func import grad, hessian, jacrev

from autobalance.hypergradient import (
    Hessian,
    Neumann,
    OneStep,
    hypergradient,
    published_hypergradient,
)

TERMS, STEP, DECAY = 4, 0.3, 0.2


def flat(parts):
    return torch.cat([part.reshape(-1) for part in parts])


@pytest.fixture
def cut(make_problem):
    """Training and held-out examples in batches of different sizes."""
    return make_problem(train=(7, 5), held_out=(8, 6))


def published(problem, objective, **options):
    batches = problem.train, problem.held_out
    options = {"terms": TERMS, "step": STEP, "weight_decay": DECAY, **options}
    return published_hypergradient(
        problem.model, problem.written_out, objective, *batches, **options
    )


def dense(problem, objective, parametric):
    """The sum as published, and what the algorithm returns as printed."""

    def training(theta, *values):
        losses = [
            parametric(problem.logits(theta, batch.inputs), batch, *values)
            for batch in problem.train
        ]
        return torch.stack(losses).mean() + DECAY / 2 * theta @ theta

    def held_out(theta):
        values = [objective(problem.logits(theta, b.inputs), [b]) for b in problem.held_out]
        return torch.stack(values).mean()

    theta = problem.theta()
    curvature = hessian(training)(theta, *problem.values)
    right = grad(held_out)(theta)
    decay = torch.eye(len(theta), dtype=torch.float64) - STEP * curvature
    terms = [torch.linalg.matrix_power(decay, j) @ right for j in range(TERMS + 1)]

    def minus_mixed(p):
        along_p = jacrev(
            lambda *values: grad(training)(theta, *values) @ p, argnums=tuple(range(3))
        )
        return tuple(-part for part in along_p(*problem.values))

    return minus_mixed(STEP * sum(terms)), minus_mixed(terms[-1])


def test_it_is_its_equation(cut, balanced, parametric):
    found = published(cut, balanced)
    expected, _ = dense(cut, balanced, parametric)
    torch.testing.assert_close(found, expected)
    assert not any(part.requires_grad for part in found)


def test_as_printed_it_would_be_something_else(cut, balanced, parametric):
    _, printed = dense(cut, balanced, parametric)
    found, printed = flat(published(cut, balanced)), flat(printed)
    assert torch.cosine_similarity(found, printed, dim=0) < 0.99
    assert not 0.9 < printed.norm() / found.norm() < 1.1


def test_without_terms_it_is_one_step_over_all_batches(make_problem, small_network, balanced):
    problem = make_problem(small_network(nn.Tanh(), nn.Dropout(0.5)), train=(7, 5))
    step = hypergradient(
        problem.model,
        problem.loss,
        balanced,
        problem.train,
        problem.held_out,
        solver=OneStep(STEP),
        mode="train",
    )
    found = published(problem, balanced, terms=0, mode="train")
    torch.testing.assert_close(found, step.loss)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_hessian_and_neumann_series_make_it_up(make_problem, small_network, balanced, mode):
    problem = make_problem(small_network(nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3)))
    parts = hypergradient(
        problem.model,
        problem.loss,
        balanced,
        problem.train,
        problem.held_out,
        curvature=Hessian(),
        solver=Neumann(TERMS, 0.002),
        weight_decay=DECAY,
        mode=mode,
    )
    assert parts.record.step == 0.002  # the terms of a longer one grow in training mode
    torch.testing.assert_close(published(problem, balanced, mode=mode, step=0.002), parts.loss)
    assert problem.model.training


def test_what_the_loss_does_not_use_gets_zero(problem, balanced):
    loss = problem.written_out
    unused = torch.ones(2, dtype=torch.float64, requires_grad=True)
    loss.alpha = (unused, *loss.alpha)
    by_unused, *others = published_hypergradient(
        problem.model, loss, balanced, problem.train, problem.held_out
    )
    assert by_unused.equal(torch.zeros(2, dtype=torch.float64))
    assert all(part.any() for part in others)
