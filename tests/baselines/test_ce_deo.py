"""The blend of cross-entropy and CE_deo against its formula written out and scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from sklearn.linear_model import LogisticRegression

from autobalance.baselines.ce_deo import STRENGTHS, ce_deo_blend
from autobalance.errors import ObjectiveError

KAPPA = 20.0


def smooth_range(values):
    """(1/κ)(log mean e^{κ v} + log mean e^{−κ v}), for two values (2/κ) log cosh(κ (v₁ − v₂)/2)."""
    return sum(np.log(np.mean(np.exp(sign * KAPPA * values))) / KAPPA for sign in (1, -1))


@pytest.fixture
def trained(make_bench, at, standard_parts, cell_risks):
    """Standard features, workbench, θ on them, the written-out loss of any θ, and the head."""

    def train(ratio, base="error", ridge=0.1, **options):
        x, bench = make_bench(**options)
        head = ce_deo_blend(bench, "blend", base, at(ridge=ridge, ratio=ratio))
        standard, coef, intercept = standard_parts(x, head)
        a, b = 1 / (1 + ratio), ratio / (1 + ratio)
        counts = bench.counts.values

        def loss(flat):
            theta = flat.reshape(len(counts), -1)
            risks = cell_risks(bench, standard @ theta[:, :-1].T + theta[:, -1])
            mean = (
                risks.mean() if base == "group-balanced" else (counts * risks).sum() / counts.sum()
            )
            deo = sum(smooth_range(row) for row in risks)
            return a * mean + b * deo + a * ridge / 2 * (theta[:, :-1] ** 2).sum()

        return standard, bench, np.column_stack([coef, intercept]), loss, head

    return train


@pytest.mark.parametrize("base", ["error", "group-balanced"])
@pytest.mark.parametrize(("ratio", "classes", "groups"), [(0.2, 2, 2), (3.0, 2, 2), (1.0, 3, 3)])
def test_it_is_a_minimum_of_the_formula(trained, base, ratio, classes, groups):
    _, _, theta, loss, _ = trained(ratio, base, classes=classes, groups=groups)
    slope = approx_fprime(theta.ravel(), loss, 1e-7)
    np.testing.assert_allclose(slope, 0, atol=2e-5)
    nearby = minimize(loss, theta.ravel(), method="BFGS", options={"maxiter": 50})
    assert loss(theta.ravel()) <= nearby.fun + 1e-6


def test_for_two_groups_it_is_the_smooth_absolute_difference():
    first, second = 0.31, 0.47
    expected = 2 / KAPPA * np.log(np.cosh(KAPPA * (first - second) / 2))
    assert smooth_range(np.array([first, second])) == pytest.approx(expected, rel=1e-12)


def test_without_the_difference_it_is_scikit_learns_logistic_regression(trained):
    standard, bench, theta, _, _ = trained(1e-9)
    # half the ridge: two opposite weight vectors of half the size
    model = LogisticRegression(C=2 / (0.1 * len(bench.y)), tol=1e-10, max_iter=10_000)
    model.fit(standard, bench.y)
    np.testing.assert_allclose(theta[1, :-1] - theta[0, :-1], model.coef_[0], atol=1e-4)
    np.testing.assert_allclose(theta[1, -1] - theta[0, -1], model.intercept_[0], atol=1e-4)


def test_a_larger_weight_brings_the_groups_together(trained, cell_risks):
    ranges = []
    for ratio in (1e-6, 0.3, 1.0, 5.0):
        standard, bench, theta, _, _ = trained(ratio)
        risks = cell_risks(bench, standard @ theta[:, :-1].T + theta[:, -1])
        ranges.append(np.ptp(risks, axis=1).sum())
    assert all(a > b for a, b in pairwise(ranges))


def test_weights_are_written_out(make_bench, trained):
    _, bench = make_bench()
    head = ce_deo_blend(bench, "CE_deo blend", "group-balanced")
    assert (head.name, head.kind) == ("CE_deo blend", "baseline")
    assert set(head.strengths) == {"group-balanced", "equalized-odds", "ridge"}
    weights = head.strengths["group-balanced"], head.strengths["equalized-odds"]
    assert sum(weights) == pytest.approx(1)
    *_, other = trained(STRENGTHS["ratio"].start, "group-balanced")
    assert head.value <= other.value + 1e-4


def test_groups_are_needed(make_bench):
    _, bench = make_bench("balanced", groups=1)
    with pytest.raises(ObjectiveError, match="compares groups but the data has no group"):
        ce_deo_blend(bench, "blend")
