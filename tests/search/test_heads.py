"""Linear heads: derivatives against autograd, optima against scikit-learn and scipy."""

import logging

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from autobalance.data import features as features_module
from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.search import heads as module
from autobalance.search.heads import INTERCEPT_RIDGE, LinearHeads
from autobalance.space import LossValues


def loss_values(data, ridge=0.05, plain=False, seed=3):
    shape = data.counts.values.shape
    generator = torch.Generator().manual_seed(seed)

    def normal():
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    if plain:
        ones = torch.ones(shape, dtype=torch.float64)
        return LossValues(ones, 0 * ones, ones, torch.tensor(ridge, dtype=torch.float64))
    return LossValues(
        (0.5 * normal()).exp(),
        normal(),
        (0.3 * normal()).exp(),
        torch.tensor(ridge, dtype=torch.float64),
    )


def make_heads(data, values=None, folds=None, features=None, **options):
    folds = folds or data.folds(3)
    heads = LinearHeads(
        features or data.features(),
        torch.from_numpy(data.y),
        torch.from_numpy(data.g),
        torch.from_numpy(folds.train_weight(data.sample_weight)),
        data.counts.n_classes,
        **{"curvature_dtype": torch.float64, "tolerance": 1e-10, **options},
    )
    heads.set_loss(values or loss_values(data))
    return heads


def objective_of(heads, data, theta, values):
    """The training loss of every head, from the public loss and the stated penalty."""
    total = 0.0
    for head, share in zip(theta, heads.train_weight, strict=True):
        logits = heads.features.values.double() @ head.T
        losses = adjusted_cross_entropy(
            logits,
            heads.target,
            values.weight,
            values.additive,
            values.multiplicative,
            group=heads.group,
            reduction="none",
        )
        bias = head[:, -1]
        penalty = values.ridge * (head[:, :-1] ** 2).sum() + INTERCEPT_RIDGE * (bias**2).sum()
        penalty = penalty + bias.sum() ** 2 / len(bias)
        total = total + (share * losses).sum() + penalty / 2
    return total


def random_theta(heads, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(heads.theta.shape, generator=generator, dtype=torch.float64)


@pytest.fixture(params=[1, 2], ids=["no groups", "two groups"])
def data(request, small_data):
    return small_data.draw(groups=request.param, weighted=True)


def test_value_and_gradient_are_those_of_the_loss(data):
    values = loss_values(data)
    heads = make_heads(data, values)
    theta = random_theta(heads).requires_grad_()
    expected = objective_of(heads, data, theta, values)
    (slope,) = torch.autograd.grad(expected, theta)
    value, gradient = heads.value_and_gradient(theta.detach())
    assert float(value.sum()) == pytest.approx(float(expected.detach()), rel=1e-12)
    torch.testing.assert_close(gradient, slope, rtol=1e-10, atol=1e-12)


def test_curvature_is_that_of_double_backward_and_positive(data):
    values = loss_values(data)
    heads = make_heads(data, values)
    theta = random_theta(heads).requires_grad_()
    heads.value_and_gradient(theta.detach())
    for seed in range(3):
        vector = random_theta(heads, seed)
        (slope,) = torch.autograd.grad(
            objective_of(heads, data, theta, values), theta, create_graph=True
        )
        (expected,) = torch.autograd.grad((slope * vector).sum(), theta)
        found = heads.curvature_product(vector)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
        assert float((vector * found).sum()) > 0


def test_diagonal_is_that_of_the_products(data):
    heads = make_heads(data)
    heads.value_and_gradient(random_theta(heads))
    diagonal = heads.curvature_diagonal()
    _, classes, width = diagonal.shape
    for k in range(classes):
        for e in (0, width - 1):
            unit = torch.zeros_like(diagonal)
            unit[:, k, e] = 1
            product = heads.curvature_product(unit)[:, k, e]
            torch.testing.assert_close(diagonal[:, k, e], product, rtol=1e-10, atol=0)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "class and sample weights"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_optimum_is_scikit_learns(small_data, weighted, dtype):
    data = small_data.draw(groups=1, weighted=weighted)
    values = loss_values(data, plain=True)
    per_class = torch.tensor([[0.5], [1.0], [2.5]], dtype=torch.float64)
    if weighted:
        values = LossValues(per_class, values.additive, values.multiplicative, values.ridge)
    folds = data.folds(3)
    heads = make_heads(data, values, folds, curvature_dtype=dtype, tolerance=1e-9)
    assert heads.fit()
    features = heads.features
    standard = (data.x - features.mean.numpy()) / features.scale.numpy()
    for f, theta in enumerate(heads.theta):
        chosen = folds.train[f]
        # not normalised again: class weights scale the loss against the ridge
        shares = folds.train_weight(data.sample_weight)[f] * values.weight[data.y, 0].numpy()
        model = LogisticRegression(C=1 / 0.05, tol=1e-12, max_iter=10_000)
        model.fit(standard[chosen], data.y[chosen], sample_weight=shares[chosen])
        coef = theta[:, :-1] @ features.rotation.T
        np.testing.assert_allclose(coef, model.coef_, rtol=0, atol=2e-5)
        bias = model.intercept_ - model.intercept_.mean()
        np.testing.assert_allclose(theta[:, -1], bias, rtol=0, atol=2e-4)


def test_optimum_with_adjusted_logits_is_scipys(data):
    values = loss_values(data)
    heads = make_heads(data, values, data.folds(2))
    assert heads.fit()

    def function(flat):
        theta = torch.from_numpy(flat.reshape(heads.theta.shape)).requires_grad_()
        value = objective_of(heads, data, theta, values)
        (gradient,) = torch.autograd.grad(value, theta)
        return float(value.detach()), gradient.numpy().ravel()

    best = minimize(
        function,
        np.zeros(heads.theta.numel()),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 10_000},
    )
    np.testing.assert_allclose(heads.theta.numpy().ravel(), best.x, rtol=0, atol=1e-5)


def test_intercepts_sum_to_zero(small_data):
    heads = make_heads(small_data.draw(groups=1))
    heads.fit()
    assert heads.theta[..., -1].sum(1).abs().max() < 1e-4
    assert heads.theta[..., -1].abs().max() > 0.1


def test_float32_curvature_reaches_the_same_optimum(data):
    double, mixed = make_heads(data), make_heads(data, curvature_dtype=torch.float32)
    assert double.fit()
    assert mixed.fit()
    torch.testing.assert_close(mixed.theta, double.theta, rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_optimum_does_not_depend_on_the_start(small_data, dtype):
    """Where δ multiplies logits the loss leaves one direction of the intercepts open."""
    data = small_data.draw(groups=1)
    heads = make_heads(data, curvature_dtype=dtype, tolerance=1e-6)
    heads.fit()
    from_zero = heads.outputs(*held_out_of(data))
    heads.theta = 3 * random_theta(heads)
    assert heads.fit()
    torch.testing.assert_close(heads.outputs(*held_out_of(data)), from_zero, rtol=0, atol=1e-4)


def held_out_of(data, folds=None):
    folds = folds or data.folds(3)
    return torch.from_numpy(folds.fold), torch.from_numpy(folds.row)


def everything(heads, data, folds=None):
    """What a search asks of the heads, in one list."""
    pairs = held_out_of(data, folds)
    heads.fit()
    outputs = heads.outputs(*pairs)
    cotangent = torch.sin(torch.arange(outputs.numel(), dtype=torch.float64)).reshape_as(outputs)
    pulled = heads.pull_back(*pairs, cotangent)
    solution = heads.solve(pulled, heads.curvature_diagonal(), 1e-10)
    loss, ridge = heads.mixed_products(solution.value)
    return [heads.theta, outputs, pulled, solution.value, *loss, ridge]


def test_chunks_change_nothing(small_data, monkeypatch):
    data = small_data.draw(rows=700, weighted=True)
    whole, parts = data.features(), data.features()
    parts.chunk_rows = 97
    assert len(parts.chunks) == 8
    for found, expected in zip(
        everything(make_heads(data, features=parts), data),
        everything(make_heads(data, features=whole), data),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_the_cache_nothing_changes(data, monkeypatch, dtype):
    kept = everything(make_heads(data, curvature_dtype=dtype), data)
    monkeypatch.setattr(module, "_CACHE_BYTES", 0)
    heads = make_heads(data, curvature_dtype=dtype)
    tolerance = 1e-8 if dtype == torch.float64 else 1e-4
    for found, expected in zip(everything(heads, data), kept, strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_folds_side_by_side_are_the_folds_one_by_one(data):
    folds = data.folds(3)
    together = make_heads(data, folds=folds)
    together.fit()
    pairs = [(folds.train[f], folds.row[folds.fold == f]) for f in range(3)]
    for f, pair in enumerate(pairs):
        alone = make_heads(data, folds=data.folds([pair]))
        alone.fit()
        torch.testing.assert_close(alone.theta[0], together.theta[f], rtol=0, atol=1e-8)


def test_outputs_and_pull_back_are_each_others_transpose(data):
    heads = make_heads(data)
    heads.theta = random_theta(heads)
    fold, row = held_out_of(data)
    logits = heads.outputs(fold, row)
    for m in (0, 7, 55):
        expected = heads.theta[fold[m]] @ heads.features.values[row[m]].double()
        torch.testing.assert_close(logits[m], expected)
    cotangent = torch.randn(
        logits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    one = (logits * cotangent).sum()
    torch.testing.assert_close(one, (heads.theta * heads.pull_back(fold, row, cotangent)).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ridge", [0.0, 1e-5])
def test_separable_data_without_a_ridge_stays_finite_and_ends(small_data, ridge, dtype):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 20, 6])
    data = small_data.of(8.0 * np.eye(3, 5)[y] + 0.1 * rng.normal(size=(66, 5)), y)
    heads = make_heads(
        data, loss_values(data, ridge, plain=True), curvature_dtype=dtype, tolerance=1e-4
    )
    assert heads.fit()
    assert heads.theta.isfinite().all()
    assert heads.products < 3000
    logits = heads.outputs(*held_out_of(data))
    assert (logits.argmax(1) == torch.from_numpy(y)[held_out_of(data)[1]]).all()


def test_a_warm_start_is_cheaper(data):
    heads = make_heads(data, tolerance=1e-6)
    heads.fit()
    cold = heads.products
    heads.set_loss(loss_values(data, ridge=0.051))
    heads.fit()
    assert heads.products - cold < cold


def test_wild_starts_are_brought_back(data):
    heads = make_heads(data, tolerance=1e-6)
    heads.theta = 1e3 * random_theta(heads)
    assert heads.fit()
    expected = make_heads(data)
    expected.fit()
    torch.testing.assert_close(heads.theta, expected.theta, rtol=0, atol=1e-3)


def test_what_is_kept_beside_the_features_is_bounded(small_data, monkeypatch):
    """The cache of probabilities is given up when it would grow beyond its limit."""
    data = small_data.draw(rows=700)
    monkeypatch.setattr(module, "_CACHE_BYTES", 3 * 3 * 700 * 8 - 1)
    monkeypatch.setattr(features_module, "_CHUNK_BYTES", 1)
    features = data.features()
    heads = make_heads(data, features=features)
    seen = []
    plain = heads.features.logits
    monkeypatch.setattr(
        features,
        "logits",
        lambda theta, rows: seen.append(rows.stop - rows.start) or plain(theta, rows),
    )
    everything(heads, data)
    assert max(seen) <= 256
    assert not heads._curvatures


def test_nothing_is_logged_when_all_is_well(data, caplog):
    with caplog.at_level(logging.DEBUG):
        make_heads(data).fit()
    assert not caplog.records


def test_the_whole_hessian_is_that_of_the_products(data):
    heads = make_heads(data)
    heads.value_and_gradient(random_theta(heads))
    matrix = heads.curvature_matrix()
    vector = random_theta(heads, 3)
    expected = heads.curvature_product(vector)
    found = (matrix @ vector.flatten(1)[..., None]).reshape_as(vector)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("most", [0, 600], ids=["diagonal", "factor"])
@pytest.mark.parametrize("patience", [0, 30])
def test_no_preconditioner_and_no_earlier_loss_changes_the_optimum(
    data, monkeypatch, most, patience
):
    fresh = make_heads(data, loss_values(data, 1e-4, seed=9))
    assert fresh.fit()
    monkeypatch.setattr(module, "_MAX_FACTORED", most)
    monkeypatch.setattr(module, "_PATIENCE", patience)
    heads = make_heads(data)
    heads.fit()  # leaves the factor of this loss behind
    heads.set_loss(loss_values(data, 1e-4, seed=9))
    assert heads.fit()
    assert (heads._factor is None) == (most == 0)
    torch.testing.assert_close(heads.theta, fresh.theta, rtol=1e-7, atol=1e-7)
