"""GroupDRO with group-VS against its written-out objective, and against GroupDRO."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from autobalance.baselines import group_dro as without
from autobalance.baselines import group_vs_dro as module
from autobalance.baselines.group_dro import group_dro
from autobalance.baselines.group_vs_dro import STRENGTHS, group_vs_dro

RIDGE = 0.1


@pytest.fixture
def trained(make_bench, at, standard_parts, monkeypatch):
    """A head at fixed strengths: standard features, workbench, coefficients, intercepts."""

    def train(tau, gamma, strength=10.0, adjustment=0.0, **options):
        x, bench = make_bench(**options)
        values = at(ridge=RIDGE, strength=strength, adjustment=adjustment, tau=tau, gamma=gamma)
        monkeypatch.setattr(module, "STRENGTHS", values)
        return *standard_parts(x, group_vs_dro(bench)), bench

    return train


def mean(risks):
    return risks.mean()


def soft_worst(risks, strength, offsets=0.0):
    return torch.exp(strength * (risks + offsets)).mean().log() / strength


def minimiser(standard, bench, tau, gamma, blend):
    """Logits where the blend of cell risks and the ridge, written out, have their minimum."""
    x = torch.from_numpy(np.column_stack([standard, np.ones(len(standard))]))
    n = torch.from_numpy(bench.counts.values.copy())
    K, G = n.shape

    def value(theta):
        risks = []
        for k in range(K):
            for j in range(G):
                z = x[(bench.y == k) & (bench.g == j)] @ theta.T
                z = (n[:, j] / n.max()) ** gamma * z + tau * torch.log(n[:, j] / n.sum())
                risks.append((torch.logsumexp(z, 1) - z[:, k]).mean())
        penalty = RIDGE / 2 * (theta[:, :-1] ** 2).sum() + theta[:, -1].sum() ** 2 / 2 / K
        return blend(torch.stack(risks)) + penalty

    def with_slope(flat):
        theta = torch.from_numpy(flat).reshape(K, -1).requires_grad_()
        total = value(theta)
        (slope,) = torch.autograd.grad(total, theta)
        return float(total.detach()), slope.numpy().ravel()

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    best = minimize(
        with_slope, np.zeros(K * x.shape[1]), jac=True, method="L-BFGS-B", options=options
    )
    return x.numpy() @ best.x.reshape(K, -1).T


@pytest.mark.parametrize(("classes", "groups"), [(2, 2), (3, 2), (3, 1)])
@pytest.mark.parametrize(("tau", "gamma"), [(1.0, 0.3), (0.5, 0.8)])
def test_it_has_the_minimum_of_the_written_out_objective(trained, classes, groups, tau, gamma):
    options = {"classes": classes, "groups": groups}
    standard, coef, intercept, bench = trained(tau, gamma, strength=5.0, **options)
    expected = minimiser(standard, bench, tau, gamma, partial(soft_worst, strength=5.0))
    np.testing.assert_allclose(standard @ coef.T + intercept, expected, atol=2e-3)


def test_the_adjustment_is_that_of_group_dro(trained):
    standard, coef, intercept, bench = trained(1.0, 0.3, strength=5.0, adjustment=2.0)
    offsets = torch.from_numpy(2.0 / np.sqrt(bench.counts.values.ravel()))
    blend = partial(soft_worst, strength=5.0, offsets=offsets)
    expected = minimiser(standard, bench, 1.0, 0.3, blend)
    np.testing.assert_allclose(standard @ coef.T + intercept, expected, atol=2e-3)


@pytest.mark.parametrize("adjustment", [0.0, 3.0])
def test_at_strength_0_it_is_the_mean_of_the_cells_risks(trained, adjustment):
    standard, coef, intercept, bench = trained(1.0, 0.3, strength=1e-6, adjustment=adjustment)
    expected = minimiser(standard, bench, 1.0, 0.3, mean)
    np.testing.assert_allclose(standard @ coef.T + intercept, expected, atol=2e-3)


def test_without_tau_and_gamma_it_is_group_dro(
    trained, make_bench, at, standard_parts, monkeypatch
):
    _, coef, intercept, _ = trained(0.0, 0.0, adjustment=1.0)
    x, bench = make_bench()
    values = at(ridge=RIDGE, strength=10.0, adjustment=1.0)
    monkeypatch.setattr(without, "STRENGTHS", values)
    _, expected_coef, expected_intercept = standard_parts(x, group_dro(bench))
    np.testing.assert_allclose(coef, expected_coef, atol=1e-4)
    np.testing.assert_allclose(intercept, expected_intercept, atol=1e-4)


@pytest.mark.slow
def test_its_strengths_are_tuned_from_the_published_ones(make_bench, monkeypatch, at):
    _, bench = make_bench()
    head = group_vs_dro(bench)
    assert (head.name, head.kind) == ("GroupDRO with group-VS", "baseline")
    assert set(head.strengths) == set(STRENGTHS) == {*without.STRENGTHS, "tau", "gamma"}
    assert (STRENGTHS["tau"].start, STRENGTHS["gamma"].start) == (1.0, 0.3)
    for tau, gamma in [(1.0, 0.3), (1.0, 0.5), (0.5, 0.3)]:
        values = at(ridge=0.1, strength=10.0, adjustment=1.0, tau=tau, gamma=gamma)
        monkeypatch.setattr(module, "STRENGTHS", values)
        assert head.value <= group_vs_dro(bench).value + 1e-4
