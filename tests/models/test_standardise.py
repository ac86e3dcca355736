"""Standardising inside a model is standardising outside."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from autobalance.data.features import FeatureMatrix
from autobalance.errors import DataError
from autobalance.models import standardise as module
from autobalance.models.standardise import Standardise


def draw(rows=50, width=4, dtype=torch.float64):
    rng = np.random.default_rng(0)
    x = 5 + rng.normal(size=(rows, width)) * 10.0 ** np.arange(width)
    return torch.from_numpy(x).to(dtype), torch.from_numpy(rng.uniform(0.5, 2.0, rows))


@pytest.mark.parametrize("weighted", [True, False])
def test_standardising_inside_is_standardising_outside(weighted):
    x, weight = draw()
    weight = weight if weighted else None
    outside = StandardScaler().fit_transform(x, sample_weight=weight)
    inside = Standardise(4).double()
    assert inside.fit(x, weight) is inside
    torch.testing.assert_close(inside(x), torch.from_numpy(outside))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("common_scale", [True, False])
def test_mean_and_scale_are_those_of_the_exact_search(common_scale, dtype, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)  # the sums go over several parts
    x, weight = draw(dtype=dtype)
    x = torch.cat([x, torch.full((50, 1), 0.1, dtype=dtype)], dim=1)
    search = FeatureMatrix(x, weight, standardise=not common_scale)
    model = Standardise(5).double().fit(x, weight, common_scale=common_scale)
    torch.testing.assert_close(model.mean, search.mean)
    torch.testing.assert_close(model.scale[:4], search.scale[:4])
    assert search.scale[4] == torch.inf
    assert model.scale[4] == torch.finfo(torch.float64).max


def test_a_common_scale_gives_mean_variance_1():
    x, _ = draw()
    model = Standardise(4).double().fit(x, common_scale=True)
    assert len(set(model.scale.tolist())) == 1
    standard = model(x)
    torch.testing.assert_close(float(standard.var(0, correction=0).mean()), 1.0)


@pytest.mark.parametrize("common_scale", [True, False])
def test_a_constant_feature_plays_no_part_even_where_a_new_value_differs(common_scale):
    x, _ = draw(dtype=torch.float32)
    x[:, 1] = 0.1
    model = Standardise(4).fit(x, common_scale=common_scale)
    before = model(x)
    x[:, 1] = 1000.0
    torch.testing.assert_close(model(x), before)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_one_example_makes_every_feature_constant():
    x, _ = draw(rows=1, dtype=torch.float32)
    model = Standardise(4).fit(x, common_scale=True)
    torch.testing.assert_close(model(x), torch.zeros(1, 4))


def test_a_saved_model_takes_raw_features():
    x, _ = draw(dtype=torch.float32)
    model = Standardise(4).fit(x)
    again = Standardise(4)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(x), model(x))


def test_float64_features_lose_nothing_before_they_are_standardised():
    x = torch.tensor([[1e6], [1e6 + 0.01], [1e6 + 0.02]], dtype=torch.float64)
    model = Standardise(1)
    model.mean.fill_(1e6)
    model.scale.fill_(0.01)
    torch.testing.assert_close(model(x), torch.tensor([[0.0], [1.0], [2.0]]))


def test_statistics_hold_in_half_precision_features():
    x, _ = draw(width=2)
    x = x.half()
    model = Standardise(2).fit(x)
    torch.testing.assert_close(model.mean.double(), x.double().mean(0))
    torch.testing.assert_close(model.scale.double(), x.double().std(0, correction=0))
    assert model(x).dtype == torch.float32


NAN = torch.tensor([[0.0, 1.0], [2.0, float("nan")]])
REFUSED = {
    "of another width": (torch.zeros(3, 5), None, r"float32 of shape \(3, 5\) .* \(N, 2\)"),
    "flat": (torch.zeros(2), None, r"shape \(2,\)"),
    "empty": (torch.zeros(0, 2), None, "give one row or more"),
    "whole numbers": (torch.zeros(3, 2, dtype=torch.long), None, "int64"),
    "not finite": (NAN, None, "feature 1 holds values that are not finite"),
    "too large": (torch.tensor([[1e200, 0.0], [0.0, 0.0]]).double() * 1e5, None, "feature 0"),
    "too few weights": (torch.zeros(3, 2), torch.ones(2), "one weight per example"),
    "a negative weight": (torch.zeros(2, 2), torch.tensor([2.0, -1.0]), "not negative"),
    "a weight that is nan": (torch.zeros(2, 2), torch.tensor([2.0, float("nan")]), "finite"),
    "an infinite weight": (torch.zeros(2, 2), torch.tensor([2.0, float("inf")]), "finite"),
    "no weight": (torch.zeros(2, 2), torch.zeros(2), "somewhere positive"),
}


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(("features", "weight", "said"), REFUSED.values(), ids=REFUSED)
def test_statistics_of_broken_data_are_refused(features, weight, said):
    model = Standardise(2)
    with pytest.raises(DataError, match=said) as error:
        model.fit(features, weight)
    assert "\n" not in str(error.value)
    assert torch.equal(model.mean, torch.zeros(2))
    assert torch.equal(model.scale, torch.ones(2))
