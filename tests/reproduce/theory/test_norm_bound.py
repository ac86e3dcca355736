"""The logarithmic domain against the library's loss, and the minimisers against a grid."""

import decimal

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad

from autobalance.reproduce.theory.family import appendix_e_loss, two_logit_loss
from autobalance.reproduce.theory.norm_bound import (
    augmented_risk,
    log_softplus,
    parametric_risk,
    trained_directions,
    two_logit_risk,
)
from autobalance.reproduce.theory.separable import separable_points

VALUES = ((20.0, 0.5), (-2.0, 4.0), (0.3, 0.9))
RANDOM = np.random.default_rng(0)


def unit(size):
    direction = RANDOM.normal(size=size)
    return direction / np.linalg.norm(direction)


@pytest.mark.parametrize("bound", [1.0, 10.0])
def test_risks_are_logarithms_of_the_library_s_losses(bound):
    data = separable_points(0, 3, 4, 9)
    theta = unit(3)
    expected = appendix_e_loss(torch.from_numpy(bound * theta), data, *VALUES)
    found, _ = parametric_risk(data, *VALUES).on_sphere(bound, theta)
    assert found == pytest.approx(float(expected.log()), rel=1e-12)
    theta = unit(6)
    expected = two_logit_loss(torch.from_numpy(bound * theta.reshape(2, 3)), data, *VALUES)
    found, _ = two_logit_risk(data, *VALUES).on_sphere(bound, theta)
    assert found == pytest.approx(float(expected.log()), rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_augmented_risk_is_the_mean_over_drawn_balls(dimension):
    data = separable_points(0, dimension, 2, 3)
    radii, bound, theta = data.by_class((0.8, 0.3)), 3.0, unit(dimension)
    direction = RANDOM.normal(size=(5, 40_000, dimension))
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    shift = direction * RANDOM.uniform(size=(5, 40_000, 1)) ** (1 / dimension)
    points = data.points[:, None] + radii[:, None, None] * shift
    losses = np.logaddexp(0, -bound * data.labels[:, None] * (points @ theta))
    found, _ = augmented_risk(data, radii, 64).on_sphere(bound, theta)
    assert np.exp(found) == pytest.approx(losses.mean(1).sum(), rel=0.01)


@pytest.mark.parametrize("bound", [1.0, 300.0])
def test_slope_is_the_derivative(bound):
    data = separable_points(0, 4, 3, 5)
    for risk in (
        parametric_risk(data, *VALUES),
        augmented_risk(data, data.by_class((0.3, 0.0)), 8),
    ):
        error = check_grad(
            lambda u, risk=risk: risk.on_sphere(bound, u)[0] / bound,
            lambda u, risk=risk: risk.on_sphere(bound, u)[1] / bound,
            unit(4),
        )
        assert error < 1e-5


@pytest.mark.parametrize("bound", [1.0, 30.0, 1e4])
def test_minimisers_are_the_best_of_all_angles(bound):
    data = separable_points(1, 2, 4, 9)
    risk = parametric_risk(data, *VALUES)
    direction = trained_directions(risk, [1.0, 10.0, 100.0, 1e3, bound])[-1]
    found, _ = risk.on_sphere(bound, direction)
    angles = np.arctan2(*direction[::-1]) + np.linspace(-np.pi, np.pi, 4001)
    others = [risk.on_sphere(bound, np.array([np.cos(a), np.sin(a)]))[0] for a in angles]
    assert found <= min(others) + 1e-9 * bound
    assert np.linalg.norm(direction) == pytest.approx(1)


def test_log_softplus_to_the_last_digit_at_any_size():
    exponents = np.array([-800.0, -31.0, -29.0, -3.0, 0.0, 5.0, 400.0])
    with decimal.localcontext(prec=400):
        expected = [
            float((1 + decimal.Decimal(exponent).exp()).ln().ln()) for exponent in exponents
        ]
    np.testing.assert_allclose(log_softplus(exponents), expected, rtol=1e-14)
    np.testing.assert_array_equal(log_softplus(np.array([-1e6])), -1e6)
