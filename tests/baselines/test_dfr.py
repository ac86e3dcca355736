"""DFR against the optimality conditions of ℓ1 and averages of scikit-learn's fits."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from autobalance.baselines import dfr as module
from autobalance.baselines.dfr import STRENGTHS, balanced_subsets, dfr
from autobalance.workbench import Workbench

LASSO = 0.02


@pytest.fixture
def at_lasso(at, monkeypatch):
    def fix(lasso=LASSO):
        monkeypatch.setattr(module, "STRENGTHS", at(lasso=lasso))

    return fix


def probabilities(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("classes", [2, 3])
def test_where_all_cells_are_equal_it_solves_the_lasso(
    make_bench, at_lasso, standard_parts, classes, precision
):
    """Every subset is then everything: |∂| ≤ λ, and −∂ = λ sign θ where θ is not 0."""
    at_lasso()
    x, bench = make_bench(classes=classes, even=True, precision=precision)
    standard, coef, intercept = standard_parts(x, dfr(bench, draws=2))
    residual = probabilities(standard @ coef.T + intercept) - np.eye(classes)[bench.y]
    slopes = residual.T @ np.column_stack([standard, np.ones(len(x))]) / len(x)
    theta = np.column_stack([coef, intercept])
    if classes == 2:  # one weight vector, θ₁ − θ₀, whose intercept is penalised too
        theta, slopes = theta[1:] - theta[:1], slopes[1:]
    else:
        np.testing.assert_allclose(slopes[:, -1], 0, atol=1e-3)
        theta, slopes = theta[:, :-1], slopes[:, :-1]
    used = np.abs(theta) > 1e-9
    assert used.any()
    assert not used.all()
    assert np.abs(slopes).max() <= LASSO + 1e-3
    np.testing.assert_allclose(-slopes[used], LASSO * np.sign(theta[used]), atol=1e-3)


def test_it_averages_fits_to_balanced_subsets(make_bench, at_lasso, standard_parts):
    at_lasso()
    x, bench = make_bench()
    standard, coef, intercept = standard_parts(x, dfr(bench, draws=3, random_state=7))
    # another solver, to which the intercept is a column of ones: liblinear penalises it so
    columns = np.column_stack([standard, np.ones(len(x))])
    rng = np.random.default_rng([7, 0])
    fitted = []
    for rows in balanced_subsets(2 * bench.y + bench.g, np.ones(len(x), bool), 3, rng):
        model = LogisticRegression(
            C=1 / (LASSO * len(rows)),
            l1_ratio=1.0,
            solver="saga",
            fit_intercept=False,
            tol=1e-8,
            max_iter=100_000,
            random_state=0,
        )
        fitted.append(model.fit(columns[rows], bench.y[rows]).coef_[0])
    expected = np.mean(fitted, 0)
    np.testing.assert_allclose(coef[1] - coef[0], expected[:-1], atol=5e-3)
    np.testing.assert_allclose(intercept[1] - intercept[0], expected[-1], atol=5e-3)


def test_the_scale_of_features_does_not_matter(make_bench, at_lasso):
    at_lasso()
    found = [dfr(make_bench(standardise=flag)[1]) for flag in (True, False)]
    np.testing.assert_allclose(found[0].model.coef, found[1].model.coef, atol=1e-3)
    np.testing.assert_allclose(found[0].model.intercept, found[1].model.intercept, atol=1e-3)


def test_a_constant_feature_gets_no_weight(make_bench, at_lasso):
    at_lasso(1e-4)
    x, bench = make_bench(width=7)
    x[:, -1] = 3.0
    data = (bench.y, bench.g, bench.sample_weight, bench.counts, bench.folds, bench.objective)
    with_constant = Workbench(x.astype(np.float32), *data, bench.settings, standardise=False)
    head = dfr(with_constant, draws=2)
    assert np.isfinite(head.model.coef).all()
    assert (head.model.coef[:, -1] == 0).all()
    assert (head.model.coef[:, :-1] != 0).any()


def test_subsets_hold_every_cell_equally_and_no_example_twice():
    rng = np.random.default_rng(0)
    cell = rng.choice([0, 1, 3], 300, p=[0.7, 0.25, 0.05])
    eligible = rng.random(300) < 0.8
    rarest = np.bincount(cell[eligible])[[0, 1, 3]].min()
    subsets = balanced_subsets(cell, eligible, 5, rng)
    for rows in subsets:
        assert eligible[rows].all()
        assert len(set(rows)) == len(rows)
        np.testing.assert_array_equal(np.bincount(cell[rows])[[0, 1, 3]], rarest)
    assert len({tuple(sorted(rows)) for rows in subsets}) == 5


def test_its_strength_is_tuned_and_its_draws_are_repeatable(make_bench, at_lasso):
    _, bench = make_bench()
    head, again = dfr(bench), dfr(bench)
    assert (head.name, head.kind) == ("DFR", "baseline")
    assert set(head.strengths) == set(STRENGTHS)
    np.testing.assert_array_equal(head.model.coef, again.model.coef)
    assert (dfr(bench, random_state=1).model.coef != head.model.coef).any()
    for lasso in (0.1, 0.02, 1e-3):
        at_lasso(lasso)
        assert head.value <= dfr(bench).value + 1e-4
