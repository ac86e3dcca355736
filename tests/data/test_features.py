"""Features for the exact search: standardised, rotated, chunked, and the way back."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from autobalance.data import features as module
from autobalance.data.features import FeatureMatrix


def draw(rows=50, width=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)
    return torch.from_numpy(x), torch.from_numpy(rng.uniform(0.5, 2.0, rows))


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("standardise", [True, False])
def test_logits_are_those_of_the_original_features(standardise, rotated, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROTATED", 3000 if rotated else 0)
    x, weight = draw()
    features = FeatureMatrix(x, weight, standardise=standardise, dtype=torch.float64)
    assert (features.rotation is not None) == rotated
    theta = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    coef, intercept = features.to_original(theta)
    torch.testing.assert_close(
        features.logits(theta[None], slice(0, 50))[0].T, x @ coef.T + intercept
    )


def test_standardising_is_scikit_learns_with_sample_weights():
    x, weight = draw()
    features = FeatureMatrix(x, weight)
    scaler = StandardScaler().fit(x, sample_weight=weight)
    np.testing.assert_allclose(features.mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(features.scale, scaler.scale_, rtol=1e-12)


def test_rotation_is_orthogonal_and_leaves_uncorrelated_columns():
    x, weight = draw()
    features = FeatureMatrix(x, weight, dtype=torch.float64)
    rotation = features.rotation
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(6, dtype=torch.float64))
    columns = features.values[:, :-1]
    gram = columns.T @ (columns * weight[:, None])
    assert (gram - gram.diag().diag()).abs().max() < 1e-10 * gram.max()
    assert (features.values[:, -1] == 1).all()


def test_weight_two_is_two_copies():
    x, _ = draw()
    weight = torch.ones(50, dtype=torch.float64)
    doubled = weight.clone()
    doubled[:10] = 2
    by_weight = FeatureMatrix(x, doubled)
    by_copies = FeatureMatrix(torch.cat([x, x[:10]]), torch.ones(60, dtype=torch.float64))
    torch.testing.assert_close(by_weight.mean, by_copies.mean)
    torch.testing.assert_close(by_weight.scale, by_copies.scale)


def test_examples_of_weight_zero_set_no_scale():
    x, weight = draw()
    weight[:5] = 0
    wild = x.clone()
    wild[:5] *= 1e6
    torch.testing.assert_close(
        FeatureMatrix(wild, weight).scale, FeatureMatrix(x[5:], weight[5:]).scale
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
def test_a_constant_feature_gets_no_coefficient(value, dtype):
    x, weight = draw()
    x[:, 2] = value
    features = FeatureMatrix(x.to(dtype), weight)
    assert features.values.isfinite().all()
    coef, intercept = features.to_original(torch.ones(3, 7, dtype=torch.float64))
    assert (coef[:, 2] == 0).all()
    assert intercept.isfinite().all()


def test_a_small_spread_on_a_large_value_is_no_constant():
    x, weight = draw()
    x[:, 2] = 1.7e9 + 50 * x[:, 2]  # seconds of a day's clock
    features = FeatureMatrix(x, weight)
    assert features.scale[2] == pytest.approx(float(x[:, 2].std()), rel=0.2)


def test_chunks_cover_every_row_once_and_give_the_same(monkeypatch):
    x, weight = draw(rows=1000)
    whole = FeatureMatrix(x, weight, dtype=torch.float64)
    assert whole.chunks == [slice(0, 1000)]
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1)
    parts = FeatureMatrix(x, weight, dtype=torch.float64)
    assert [part.stop for part in parts.chunks] == [256, 512, 768, 1000]
    torch.testing.assert_close(parts.scale, whole.scale)
    torch.testing.assert_close(parts.values.abs(), whole.values.abs())
    assert parts.shape == (1000, 7)


@pytest.mark.parametrize("rows", [10**3, 6 * 10**4])
def test_chunks_do_not_grow_with_the_data(rows):
    features = FeatureMatrix(
        torch.ones(1, 1).expand(rows, 40), torch.ones(rows, dtype=torch.float64), columns=500
    )
    per_row = 8 * (40 + 1 + 500)
    assert max(part.stop - part.start for part in features.chunks) * per_row <= 4 * 2**20


def test_products_run_in_the_dtype_of_the_operand():
    x, weight = draw()
    features = FeatureMatrix(x, weight, dtype=torch.float32)
    rows = slice(0, 50)
    for dtype in (torch.float32, torch.float64):
        theta = torch.ones(2, 3, 7, dtype=dtype)
        logits = features.logits(theta, rows)
        assert logits.dtype == dtype
        assert features.pull_back(logits, rows).dtype == dtype
        assert features.pull_back_squares(logits, rows).dtype == dtype


def test_pull_back_is_the_transpose():
    x, weight = draw()
    features = FeatureMatrix(x, weight, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64)
    residual = torch.randn(2, 3, 50, generator=generator, dtype=torch.float64)
    rows = slice(0, 50)
    one = (features.logits(theta, rows) * residual).sum()
    other = (theta * features.pull_back(residual, rows)).sum()
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(
        features.pull_back_squares(residual, rows), residual @ features.values**2
    )


def test_converted_chunks_are_not_taken_for_each_other(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1)
    x, weight = draw(rows=600)
    features = FeatureMatrix(x, weight, dtype=torch.float32)
    first, second, _ = features.chunks
    theta = torch.ones(1, 2, 7, dtype=torch.float64)
    for rows in (first, second, first):
        for kind in (torch.float64, torch.float32, torch.float64):
            expected = theta.to(kind)[0] @ features.values[rows].to(kind).T
            torch.testing.assert_close(features.logits(theta.to(kind), rows)[0], expected)


def test_some_rows_are_standardised_as_all_are():
    x, weight = draw()
    features = FeatureMatrix(x, weight, dtype=torch.float32)
    theta = torch.ones(1, 2, 7, dtype=torch.float64)
    every = features.logits(theta, slice(0, 50))
    rows = torch.tensor([3, 7, 20])
    some = features.some(rows)
    assert some.shape == (3, 7)
    torch.testing.assert_close(some.logits(theta, slice(0, 3)), every[..., rows])
    assert features.shape == (50, 7)
