"""The minimisers against the stationarity of the risk, gradient descent and two classes."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.reproduce.theory.population import (
    closed_form,
    least_risk,
    normalised,
    of_least_norm,
)

RANDOM = np.random.default_rng(0)
MASS = np.array([0.5, 0.3, 0.2])
LIKELIHOOD = RANDOM.dirichlet(np.ones(4), 3)
WEIGHT = RANDOM.uniform(0.5, 2, 4)
ADDITIVE = RANDOM.normal(size=(2, 4))
MULTIPLICATIVE = RANDOM.uniform(0.5, 1.5, 4)
WEIGHTED = WEIGHT * LIKELIHOOD / (WEIGHT * LIKELIHOOD).sum(1, keepdims=True)


@pytest.fixture(scope="module")
def minimal():
    return least_risk(MASS, LIKELIHOOD, WEIGHT, ADDITIVE, MULTIPLICATIVE)


def test_the_softmax_of_a_minimiser_is_the_weighted_likelihood(minimal):
    adjusted = MULTIPLICATIVE * minimal + ADDITIVE[:, None]
    np.testing.assert_allclose(softmax(adjusted, axis=2), [WEIGHTED, WEIGHTED], atol=1e-7)


def test_with_appendix_d_s_constant_it_is_the_closed_form(minimal):
    expected = closed_form(WEIGHTED, ADDITIVE, MULTIPLICATIVE[None])
    np.testing.assert_allclose(
        normalised(minimal, ADDITIVE, MULTIPLICATIVE), expected, atol=1e-6, rtol=0
    )


def test_constants_change_no_loss_and_the_least_norm_is_the_least(minimal):
    least = of_least_norm(minimal, MULTIPLICATIVE)
    np.testing.assert_allclose(least @ (1 / MULTIPLICATIVE), 0, atol=1e-12)
    adjusted = softmax(MULTIPLICATIVE * least + ADDITIVE[:, None], axis=2)
    np.testing.assert_allclose(adjusted, [WEIGHTED, WEIGHTED], atol=1e-7)
    other = least + RANDOM.normal(size=(2, 3, 1)) / MULTIPLICATIVE
    assert (np.linalg.norm(least, axis=2) < np.linalg.norm(other, axis=2)).all()


def test_gradient_steps_from_zero_stay_where_the_least_norm_is(minimal):
    tables = [torch.from_numpy(table)[:, None] for table in (WEIGHT, ADDITIVE[0], MULTIPLICATIVE)]
    target = of_least_norm(minimal, MULTIPLICATIVE)[0]
    scores = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    distances = []
    for _ in range(100):
        loss = adjusted_cross_entropy(scores, torch.from_numpy(LIKELIHOOD), *tables)
        (gradient,) = torch.autograd.grad(loss, scores)
        with torch.no_grad():
            scores -= gradient
        distances.append(np.linalg.norm(scores.detach().numpy() - target))
    np.testing.assert_allclose(scores.detach().numpy() @ (1 / MULTIPLICATIVE), 0, atol=1e-12)
    assert distances[-1] < 0.7 * distances[0]


def test_with_two_classes_some_additive_adjustment_is_right_for_distinct_factors():
    first = np.linspace(0.01, 0.99, 99)[:, None]
    likelihood = np.hstack([first, 1 - first])
    additive = np.log([[0.5, 0.5]])
    (scores,) = closed_form(likelihood, additive, np.array([[1.0, 0.3]]))
    decided = np.abs(first[:, 0] - 0.5) > 1e-9
    np.testing.assert_array_equal(
        (scores[:, 0] > scores[:, 1])[decided], (first[:, 0] > 0.5)[decided]
    )
