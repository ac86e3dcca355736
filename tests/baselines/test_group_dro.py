"""GroupDRO against its saddle point, a constrained solver, and the published updates."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from autobalance.baselines import group_dro as module
from autobalance.baselines.group_dro import STRENGTHS, group_dro

RIDGE = 0.1


@pytest.fixture
def trained(make_bench, at, standard_parts, cell_risks, monkeypatch):
    """A head at fixed strengths: standard features, workbench, coefficients, intercepts, risks."""

    def train(strength, adjustment=0.0, **options):
        x, bench = make_bench(**options)
        values = at(ridge=RIDGE, strength=strength, adjustment=adjustment)
        monkeypatch.setattr(module, "STRENGTHS", values)
        head = group_dro(bench)
        standard, coef, intercept = standard_parts(x, head)
        return standard, bench, coef, intercept, cell_risks(bench, standard @ coef.T + intercept)

    return train


def adjusted(bench, risks, adjustment):
    return risks + adjustment / np.sqrt(bench.counts.values)


def robust_loss(bench, risks, coef, adjustment):
    return adjusted(bench, risks, adjustment).max() + RIDGE / 2 * (coef**2).sum()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("strength", "adjustment"), [(0.5, 0.0), (10.0, 0.0), (10.0, 2.0)])
def test_weights_and_head_are_each_others_answer(trained, classes, strength, adjustment):
    """q is the exponentiated risks, and the head is what scikit-learn trains with weights q/n."""
    standard, bench, coef, intercept, risks = trained(strength, adjustment, classes=classes)
    q = np.exp(strength * adjusted(bench, risks, adjustment))
    weight = (q / q.sum() / bench.counts.values)[bench.y, bench.g]
    # with two classes half the ridge: two opposite weight vectors of half the size
    model = LogisticRegression(C=(2 if classes == 2 else 1) / RIDGE, tol=1e-10, max_iter=10_000)
    model.fit(standard, bench.y, sample_weight=weight)
    expected = model.decision_function(standard)
    logits = standard @ coef.T + intercept
    found = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("adjustment", [0.0, 2.0])
def test_at_a_high_strength_it_is_the_minimax_of_a_constrained_solver(
    trained, cell_risks, adjustment
):
    standard, bench, coef, _, risks = trained(300.0, adjustment)

    def parts(point):
        theta = point[:-1].reshape(2, -1)
        logits = standard @ theta[:, :-1].T + theta[:, -1]
        return theta[:, :-1], adjusted(bench, cell_risks(bench, logits), adjustment)

    best = minimize(
        lambda point: point[-1] + RIDGE / 2 * (parts(point)[0] ** 2).sum(),
        np.append(np.zeros(12), 3.0),
        constraints={
            "type": "ineq",
            "fun": lambda point: (point[-1] - parts(point)[1]).ravel(),
        },
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-10},
    )
    assert best.success
    found = robust_loss(bench, risks, coef, adjustment)
    assert best.fun - 1e-6 <= found <= best.fun + np.log(4) / 300


def test_it_is_what_the_published_updates_approach(trained, cell_risks):
    """Algorithm 1 of the paper on the full batch: gradient steps, exponentiated weights, means."""
    standard, bench, coef, _, risks = trained(300.0, 1.0)
    x = np.column_stack([standard, np.ones(len(standard))])
    own = np.eye(2)[bench.y]
    penalty = RIDGE * np.array([1, 1, 1, 1, 1, 0])
    q, theta, mean = np.full((2, 2), 0.25), np.zeros((2, 6)), np.zeros((2, 6))
    steps = 4000
    for _ in range(steps):
        logits = x @ theta.T
        q = q * np.exp(0.05 * adjusted(bench, cell_risks(bench, logits), 1.0))
        q /= q.sum()
        odds = np.exp(logits)
        weight = (q / bench.counts.values)[bench.y, bench.g][:, None]
        slope = (weight * (odds / odds.sum(1, keepdims=True) - own)).T @ x
        theta = theta - 0.1 * (slope + penalty * theta)
        mean += theta / steps
    published = robust_loss(bench, cell_risks(bench, x @ mean.T), mean[:, :-1], 1.0)
    found = robust_loss(bench, risks, coef, 1.0)
    assert found == pytest.approx(published, abs=0.02)
    assert found <= published + np.log(4) / 300


def test_at_strength_0_every_cell_counts_the_same(trained, make_bench, standard_parts):
    _, _, coef, intercept, _ = trained(1e-6, 3.0)
    x, bench = make_bench()
    model = LogisticRegression(C=2 / RIDGE, tol=1e-10, max_iter=10_000)
    weight = (0.25 / bench.counts.values)[bench.y, bench.g]
    model.fit((x - x.mean(0)) / x.std(0), bench.y, sample_weight=weight)
    np.testing.assert_allclose(coef[1] - coef[0], model.coef_[0], atol=1e-4)
    np.testing.assert_allclose(intercept[1] - intercept[0], model.intercept_[0], atol=1e-4)


def test_a_higher_adjustment_favours_the_rarest_cell(trained):
    risks = [trained(20.0, adjustment)[-1] for adjustment in (0.0, 1.0, 3.0)]
    bench = trained(20.0)[1]
    rarest = np.unravel_index(bench.counts.values.argmin(), (2, 2))
    assert risks[0][rarest] > risks[1][rarest] > risks[2][rarest]


def test_its_strengths_are_tuned(make_bench, monkeypatch, at):
    _, bench = make_bench()
    head = group_dro(bench)
    assert (head.name, head.kind) == ("GroupDRO", "baseline")
    assert set(head.strengths) == set(STRENGTHS)
    for ridge, strength, adjustment in [(0.1, 10.0, 1.0), (0.01, 1.0, 0.0), (1.0, 100.0, 2.0)]:
        values = at(ridge=ridge, strength=strength, adjustment=adjustment)
        monkeypatch.setattr(module, "STRENGTHS", values)
        assert head.value <= group_dro(bench).value + 1e-4


def test_without_groups_the_cells_are_the_classes(make_bench):
    _, bench = make_bench("worst-class", classes=3, groups=1)
    head = group_dro(bench)
    errors = [
        (head.model.predict(make_bench(classes=3, groups=1)[0]) != bench.y)[bench.y == k]
        for k in range(3)
    ]
    assert max(each.mean() for each in errors) < 0.5
