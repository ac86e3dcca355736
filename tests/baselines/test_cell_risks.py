"""Training on cell risks against autograd, scipy, scikit-learn and the heads of the search."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from autobalance.baselines import cell_risks as module
from autobalance.baselines.cell_risks import _CellRiskProblem, train_on_cell_risks
from autobalance.losses.presets import group_balanced, group_vs
from autobalance.search.heads import LinearHeads
from autobalance.space import LossValues, SearchSpace


def arguments_of(bench):
    """Features, codes, weights of the folds, and shape."""
    return (
        bench.features,
        torch.from_numpy(bench.y),
        torch.from_numpy(bench.g),
        torch.from_numpy(bench.folds.train_weight(bench.sample_weight)),
        bench.counts.values.shape,
    )


def mean_of_present(risks, cells):
    return risks[torch.from_numpy(cells.present)].mean()


def wavy(risks, cells):
    """Neither convex nor increasing."""
    return (torch.sin(3 * risks) * (cells.frequencies + cells.examples.rsqrt())).sum()


def adjusting(bench, gamma=0.3):
    """A design that weighs and adjusts, differently in every cell."""
    weights = group_balanced(bench.counts)
    adjustments = group_vs(bench.counts, tau=0.8, gamma=gamma)
    return replace(adjustments, weight=weights.weight)


def by_hand(bench, theta, objective, design=None):
    """Σ_f φ(L_f) from the definition, one cell at a time."""
    x, total = bench.features.values.double().numpy(), 0.0
    weights = bench.folds.train_weight(bench.sample_weight)
    K, G = bench.counts.values.shape
    for head, weight in zip(theta, weights, strict=True):
        risks, frequencies, examples = np.zeros((3, K, G))
        for k in range(K):
            for j in range(G):
                cell = (bench.y == k) & (bench.g == j)
                s = weight[cell]
                logits = x[cell] @ head.T
                if design is not None:
                    logits = design.multiplicative[:, j] * logits + design.additive[:, j]
                losses = np.log(np.exp(logits).sum(1)) - logits[:, k]
                risks[k, j] = s @ losses / s.sum()
                frequencies[k, j] = s.sum()
                examples[k, j] = s.sum() ** 2 / (s @ s)
        cells = module.TrainingCells(torch.from_numpy(examples), torch.from_numpy(frequencies))
        total += float(objective(torch.from_numpy(risks), cells))
    return total


@pytest.mark.parametrize("make_design", [lambda bench: None, adjusting], ids=["plain", "adjusted"])
@pytest.mark.parametrize("objective", [mean_of_present, wavy])
def test_value_and_gradient_are_those_of_the_definition(make_bench, objective, make_design):
    weight = np.random.default_rng(1).uniform(0.5, 2, 240)
    _, bench = make_bench(classes=3, sample_weight=weight)
    design = make_design(bench)
    problem = _CellRiskProblem(*arguments_of(bench), objective, design)
    theta = np.random.default_rng(2).normal(size=(3, 3, 6))
    value, gradient = problem.value_and_gradient(torch.from_numpy(theta))
    assert value == pytest.approx(by_hand(bench, theta, objective, design), rel=1e-12)
    slope = approx_fprime(
        theta.ravel(), lambda flat: by_hand(bench, flat.reshape(3, 3, 6), objective, design), 1e-7
    )
    np.testing.assert_allclose(gradient.numpy().ravel(), slope, atol=1e-5)


def test_chunks_change_nothing(make_bench):
    _, bench = make_bench(rows=700)
    theta = torch.from_numpy(np.random.default_rng(2).normal(size=(3, 2, 6)))
    design = adjusting(bench)
    whole = _CellRiskProblem(*arguments_of(bench), wavy, design)
    bench.features.chunk_rows = 97
    parts = _CellRiskProblem(*arguments_of(bench), wavy, design)
    assert len(bench.features.chunks) == 8
    torch.testing.assert_close(parts.curvature, whole.curvature)
    for found, expected in zip(
        parts.value_and_gradient(theta), whole.value_and_gradient(theta), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_the_mean_risk_is_scikit_learns_logistic_regression(make_bench):
    x, bench = make_bench(classes=3, groups=1)
    theta = train_on_cell_risks(
        *arguments_of(bench), lambda risks, cells: (cells.frequencies * risks).sum(), 0.05
    )
    standard = (x - x.mean(0)) / x.std(0)
    for head, train in zip(theta, bench.folds.train, strict=True):
        model = LogisticRegression(C=1 / (0.05 * train.sum()), tol=1e-12, max_iter=10_000)
        model.fit(standard[train], bench.y[train])
        coef = head[:, :-1] @ bench.features.rotation.T
        np.testing.assert_allclose(coef, model.coef_, rtol=0, atol=2e-5)
        intercept = model.intercept_ - model.intercept_.mean()
        np.testing.assert_allclose(head[:, -1], intercept, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("precision", "atol"), [("double", 1e-5), ("mixed", 2e-2)])
def test_the_mean_over_cells_is_the_group_balanced_loss(make_bench, precision, atol):
    _, bench = make_bench(precision=precision)
    weight = torch.from_numpy(bench.sample_weight / bench.sample_weight.sum())[None]
    features, y, g, _, shape = arguments_of(bench)
    theta = train_on_cell_risks(features, y, g, weight, shape, mean_of_present, 0.1)
    heads = LinearHeads(features, y, g, weight, 2, curvature_dtype=torch.float64, tolerance=1e-10)
    design = bench.start("group-balanced", ridge=0.1)
    heads.set_loss(SearchSpace(design, {}, False).decode(torch.zeros(0, dtype=torch.float64)))
    assert heads.fit()
    torch.testing.assert_close(theta, heads.theta, rtol=0, atol=atol)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_mean_over_cells_of_an_adjusted_loss_is_that_of_the_heads_of_the_search(
    make_bench, groups
):
    """Without groups some intercepts change no loss but decisions; the penalty settles them."""
    _, bench = make_bench(classes=3, groups=groups)
    features, y, g, weight, shape = arguments_of(bench)
    design = adjusting(bench)
    theta = train_on_cell_risks(features, y, g, weight, shape, mean_of_present, 0.1, design=design)
    tables = [torch.from_numpy(each.copy()) for each in (design.additive, design.multiplicative)]
    for found, own in zip(theta, weight, strict=True):
        totals = torch.zeros(shape, dtype=torch.float64).index_put_((y, g), own, accumulate=True)
        heads = LinearHeads(
            features, y, g, own[None], 3, curvature_dtype=torch.float64, tolerance=1e-10
        )
        heads.set_loss(LossValues(1 / totals / totals.numel(), *tables, torch.tensor(0.1)))
        assert heads.fit()
        torch.testing.assert_close(found, heads.theta[0], rtol=0, atol=2e-5)


def test_a_design_that_adjusts_nothing_changes_nothing(make_bench):
    _, bench = make_bench(classes=3)
    arguments = (*arguments_of(bench), mean_of_present, 0.1)
    plain = train_on_cell_risks(*arguments)
    weighted = group_balanced(bench.counts)
    found = train_on_cell_risks(*arguments, design=weighted)
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)


def test_an_objective_that_is_not_convex_ends_where_its_gradient_vanishes(make_bench):
    _, bench = make_bench()
    arguments = arguments_of(bench)
    theta = train_on_cell_risks(*arguments, wavy, 0.3)

    _, gradient = _CellRiskProblem(*arguments, wavy).value_and_gradient(theta)
    torch.testing.assert_close(gradient[..., :-1], -0.3 * theta[..., :-1], rtol=0, atol=1e-5)
    assert theta.abs().max() > 0.1


def test_a_cell_without_training_examples_is_left_out(make_bench):
    _, bench = make_bench()
    features, y, g, weight, shape = arguments_of(bench)
    rare = (y == 1) & (g == 0)
    without = weight * ~rare
    without /= without.sum(1, keepdim=True)
    theta = train_on_cell_risks(features, y, g, without, shape, mean_of_present, 0.1)
    joined = train_on_cell_risks(
        features, y, torch.where(rare, 1, g), without, shape, mean_of_present, 0.1
    )
    torch.testing.assert_close(theta, joined)
    assert theta.isfinite().all()


def test_the_start_changes_the_work_but_not_a_convex_result(make_bench, monkeypatch):
    _, bench = make_bench()
    passes = []
    plain = _CellRiskProblem.value_and_gradient
    monkeypatch.setattr(
        _CellRiskProblem,
        "value_and_gradient",
        lambda self, theta: passes.append(1) or plain(self, theta),
    )
    cold = train_on_cell_risks(*arguments_of(bench), mean_of_present, 0.1)
    from_zero = len(passes)
    warm = train_on_cell_risks(*arguments_of(bench), mean_of_present, 0.1, cold)
    assert len(passes) - from_zero < from_zero / 3
    torch.testing.assert_close(warm, cold, rtol=0, atol=1e-5)


def test_running_out_of_iterations_is_logged(make_bench, monkeypatch, caplog):
    _, bench = make_bench()
    with caplog.at_level(logging.WARNING):
        train_on_cell_risks(*arguments_of(bench), mean_of_present, 0.1)
        assert not caplog.records
        monkeypatch.setattr(module, "_MAX_ITERATIONS", 2)
        train_on_cell_risks(*arguments_of(bench), mean_of_present, 0.1)
    assert "limit of iterations" in caplog.text


def test_separable_data_with_next_to_no_ridge_stays_finite(make_bench):
    _, bench = make_bench(width=40, rows=60)
    theta = train_on_cell_risks(*arguments_of(bench), mean_of_present, 1e-5)
    assert theta.isfinite().all()
    for head, train in zip(theta, bench.folds.train, strict=True):
        right = (bench.features.values @ head.T).argmax(1).numpy() == bench.y
        assert right[train].all()
