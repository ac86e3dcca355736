"""The tuned bias against a grid and another optimiser, and the prior's against Bayes' rule."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from autobalance.counts import Counts
from autobalance.objectives import Objective
from autobalance.posthoc import least_expected_cost, logit_adjustment_bias, tune_bias
from autobalance.search.heldout import HeldOutRisk


def held_out_examples(classes=3, rows=200, groups=2, objective="balanced", seed=0, **options):
    rng = np.random.default_rng(seed)
    share = np.geomspace(1, 0.15, classes)
    y = np.concatenate(
        [np.repeat(np.arange(classes), groups), rng.choice(classes, rows, p=share / share.sum())]
    )
    g = np.concatenate([np.tile(np.arange(groups), classes), rng.integers(groups, size=rows)])
    logits = 2.0 * rng.normal(size=(len(y), classes)) + 1.5 * np.eye(classes)[y]
    logits += 2 * np.log(share)  # biased towards the frequent classes
    counts = Counts.from_codes(y, g, tuple(range(classes)), tuple(range(groups)))
    bound = Objective.parse(objective).bind(counts)
    risk = HeldOutRisk(
        torch.from_numpy(y),
        torch.from_numpy(g),
        torch.ones(len(y), dtype=torch.float64),
        bound,
        sharpness=20.0,
        **options,
    )
    return risk, torch.from_numpy(logits)


def value(risk, logits, bias):
    return float(risk(logits + torch.as_tensor(np.asarray(bias, dtype=float))).objective)


@pytest.mark.parametrize("objective", ["error", "balanced", "worst-class", "worst-group"])
def test_two_classes_agree_with_a_grid(objective):
    risk, logits = held_out_examples(2, objective=objective)
    bias = tune_bias(risk, logits)
    best = 0.0
    for width, count in ((8.0, 81), (0.25, 51)):
        grid = best + np.linspace(-width, width, count)
        best = grid[np.argmin([value(risk, logits, [-b / 2, b / 2]) for b in grid])]
    assert bias[1] - bias[0] == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("profile", [True, False])
@pytest.mark.parametrize("objective", ["balanced", "group-balanced", "worst-group"])
def test_it_is_no_worse_than_a_search_without_derivatives(objective, profile):
    risk, logits = held_out_examples(objective=objective, profile_temperature=profile)
    bias = tune_bias(risk, logits)
    other = minimize(
        lambda b: value(risk, logits, [*b, 0.0]),
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 1000},
    )
    assert value(risk, logits, bias) <= other.fun + 1e-5
    assert value(risk, logits, bias) < value(risk, logits, np.zeros(3)) - 0.01


def test_it_undoes_a_bias_that_was_added():
    risk, logits = held_out_examples()
    bias = tune_bias(risk, logits)
    added = np.array([0.7, -0.4, 1.2])
    again = tune_bias(risk, logits + torch.from_numpy(added))
    np.testing.assert_allclose(again + added - added.mean(), bias, atol=2e-2)


def test_it_has_mean_zero_and_is_deterministic():
    risk, logits = held_out_examples()
    bias = tune_bias(risk, logits)
    assert abs(bias.mean()) < 1e-12
    np.testing.assert_array_equal(bias, tune_bias(risk, logits))


def test_useless_logits_get_a_finite_bias():
    risk, logits = held_out_examples()
    assert np.isfinite(tune_bias(risk, torch.zeros_like(logits))).all()


def test_the_log_priors_bias_is_bayes_rule_for_even_classes():
    """50 values of x, of known probabilities in each class."""
    rng = np.random.default_rng(0)
    sizes = np.array([900.0, 90.0, 10.0])
    likelihood = rng.dirichlet(np.ones(50), size=3).T
    joint = likelihood * sizes / sizes.sum()
    logits = np.log(joint / joint.sum(1, keepdims=True)) + rng.normal(size=(50, 1))
    counts = Counts(sizes[:, None] * [0.25, 0.75], ("a", "b", "c"), (0, 1))
    adjusted = logits + logit_adjustment_bias(counts)
    np.testing.assert_array_equal(adjusted.argmax(1), likelihood.argmax(1))
    assert (logits.argmax(1) != likelihood.argmax(1)).sum() > 10
    odds = np.exp(adjusted)
    np.testing.assert_allclose(
        odds / odds.sum(1, keepdims=True), likelihood / likelihood.sum(1, keepdims=True), rtol=1e-10
    )


@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0, 1.5])
def test_the_log_priors_bias_is_the_published_formula(tau):
    bias = logit_adjustment_bias(Counts(np.array([[80.0], [15.0], [5.0]]), (0, 1, 2)), tau)
    np.testing.assert_allclose(np.diff(bias), -tau * np.log([15 / 80, 5 / 15]), atol=1e-15)
    assert bias.sum() == pytest.approx(0.0, abs=1e-15)


def test_the_least_expected_cost_is_found_by_trying_every_decision():
    rng = np.random.default_rng(0)
    p, costs = rng.dirichlet(np.ones(4), 50), rng.uniform(0, 9, (4, 4))
    tried = [[sum(p[i, y] * costs[y, k] for y in range(4)) for k in range(4)] for i in range(50)]
    np.testing.assert_array_equal(least_expected_cost(p, costs), np.argmin(tried, axis=1))
