"""The losses of figure 5 against direct minimisation of their formulas."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize

from autobalance.design import LossDesign
from autobalance.objectives import Objective
from autobalance.reproduce.groups.fronts import (
    FRONTS,
    LAMBDAS,
    PLAIN,
    WithBalanced,
    WithDeo,
    WithGroupLA,
    methods_of,
    objective_at,
)
from autobalance.reproduce.groups.methods import Exact, Method
from autobalance.reproduce.groups.work import _BY_KEY
from autobalance.space import SearchSpace

KAPPA = 20.0


@pytest.mark.parametrize("share", LAMBDAS)
def test_the_objective_at_lambda_is_the_blend(share):
    terms = dict(Objective.parse(objective_at(share)).terms)
    assert terms == pytest.approx({"error": 1 - share, "equalized-odds": share})


def test_at_0_the_objective_is_the_error():
    assert Objective.parse(objective_at(0.0)).terms == (("error", 1.0),)


def test_every_front_has_a_method_at_every_lambda():
    for front in FRONTS:
        methods = methods_of(front)
        assert list(methods) == [0.0, *LAMBDAS]
        assert all(isinstance(method, Method) for method in methods.values())
        for share in LAMBDAS:
            assert methods[share].key == f"{front}-lambda-{share:g}"
            assert _BY_KEY[methods[share].key] == methods[share]
        if front == "autobalance":
            assert isinstance(methods[0.0], Exact)
            assert [method.objective for method in methods.values()] == [
                objective_at(share) for share in methods
            ]
        else:
            assert methods[0.0] is PLAIN
            assert all(methods[share].share == share for share in LAMBDAS)


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_with_group_la_it_is_the_sum_of_both_losses(small_lab, by_hand, model_of, share):
    _, lab = small_lab
    fitted = WithGroupLA("key", "name", share).fit(lab)

    def loss(z):
        return (1 - share) * by_hand.cross_entropies(z).mean() + share * by_hand.group_la(z)

    lead, least = by_hand.minimum(loss, fitted.facts["ridge"])
    model = model_of(fitted)
    np.testing.assert_allclose(by_hand.lead_of(model), lead, atol=3e-3)
    value = by_hand.penalised(loss, fitted.facts["ridge"])(by_hand.theta_of(model))
    assert value == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_with_the_balanced_term_every_cell_counts_alike_in_it(small_lab, by_hand, model_of, share):
    _, lab = small_lab
    fitted = WithBalanced("key", "name", share).fit(lab)

    def loss(z):
        balanced = by_hand.cell_risks(z).mean()
        return (1 - share) * by_hand.cross_entropies(z).mean() + share * balanced

    lead, least = by_hand.minimum(loss, fitted.facts["ridge"])
    model = model_of(fitted)
    np.testing.assert_allclose(by_hand.lead_of(model), lead, atol=3e-3)
    value = by_hand.penalised(loss, fitted.facts["ridge"])(by_hand.theta_of(model))
    assert value == pytest.approx(least, abs=1e-6)


def smooth_range(values):
    return sum(np.log(np.mean(np.exp(sign * KAPPA * values))) / KAPPA for sign in (1, -1))


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_with_deo_it_is_a_minimum_of_the_sum(small_lab, by_hand, model_of, share):
    _, lab = small_lab
    fitted = WithDeo("key", "name", share).fit(lab)
    chosen = fitted.facts["chosen"]
    assert chosen["error"] == pytest.approx(1 - share)
    assert chosen["equalized-odds"] == pytest.approx(share)

    def loss(z):
        deo = sum(smooth_range(row) for row in by_hand.cell_risks(z))
        return (1 - share) * by_hand.cross_entropies(z).mean() + share * deo

    value = by_hand.penalised(loss, chosen["ridge"])
    theta = by_hand.theta_of(model_of(fitted))
    np.testing.assert_allclose(approx_fprime(theta, value, 1e-7), 0, atol=1e-3)
    nearby = minimize(value, theta, method="BFGS", options={"maxiter": 50})
    assert value(theta) <= nearby.fun + 1e-5


def test_at_0_it_is_cross_entropy_with_its_ridge_tuned_for_the_error(small_lab, by_hand, model_of):
    _, lab = small_lab
    fitted = PLAIN.fit(lab)
    lead, _ = by_hand.minimum(lambda z: by_hand.cross_entropies(z).mean(), fitted.facts["ridge"])
    np.testing.assert_allclose(by_hand.lead_of(model_of(fitted)), lead, atol=3e-3)
    assert fitted.facts["ridge"] == lab.bench("error").tune_preset("cross-entropy").design.ridge


def test_the_ridge_is_the_best_for_the_objective_on_the_folds(small_lab):
    _, lab = small_lab
    share, counts = 0.5, lab.counts
    found = WithBalanced("key", "name", share).fit(lab).facts["ridge"]
    weight = (1 - share) + share * counts.values.sum() / (4 * counts.values)
    values = {}
    for factor in (1.0, 0.25, 0.5, 2.0, 4.0):
        design = LossDesign(
            counts, weight, np.zeros((2, 2)), np.ones((2, 2)), ridge=float(factor * found)
        )
        problem = lab.bench(objective_at(share)).problem(SearchSpace(design, {}, True))
        values[factor], _ = problem.value_and_gradient(np.zeros(1))
    assert values[1.0] <= min(values.values()) + 1e-3
