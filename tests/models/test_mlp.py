"""The multi-layer perceptron: its layers, and that it standardises as one would outside."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from autobalance.data.features import FeatureMatrix
from autobalance.errors import DataError
from autobalance.models import mlp as module
from autobalance.models.mlp import MLP


def draw(rows=50, width=4, dtype=torch.float64):
    rng = np.random.default_rng(0)
    x = 5 + rng.normal(size=(rows, width)) * 10.0 ** np.arange(width)
    return torch.from_numpy(x).to(dtype), torch.from_numpy(rng.uniform(0.5, 2.0, rows))


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ((), 20 * 3 + 3),
        ((256,), 20 * 256 + 256 + 256 * 3 + 3),
        ([8, 5], 20 * 8 + 8 + 8 * 5 + 5 + 5 * 3 + 3),
    ],
)
def test_its_size_is_that_of_its_layers(hidden, expected):
    assert sum(parameter.numel() for parameter in MLP(20, 3, hidden).parameters()) == expected


def test_logits_are_those_of_the_layers_written_out():
    torch.manual_seed(0)
    model, x = MLP(4, 3, (6, 5)), torch.randn(7, 4)
    first, second = model.hidden
    inner = torch.clamp(x @ first.weight.T + first.bias, min=0)
    inner = torch.clamp(inner @ second.weight.T + second.bias, min=0)
    torch.testing.assert_close(model(x), inner @ model.head.weight.T + model.head.bias)


def test_without_hidden_layers_it_is_linear():
    model, x = MLP(4, 3, hidden=()), torch.randn(7, 4)
    torch.testing.assert_close(model(x), x @ model.head.weight.T + model.head.bias)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = MLP(4, 3, (8, 8))
    torch.logsumexp(model(torch.randn(20, 4)), 1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_dropout_is_for_training_and_leaves_the_saved_names_alone():
    torch.manual_seed(0)
    plain, dropping = MLP(4, 3), MLP(4, 3, dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(7, 4)
    assert not torch.equal(dropping(x), dropping(x))
    torch.testing.assert_close(dropping.eval()(x), plain(x))


@pytest.mark.parametrize("weighted", [True, False])
def test_standardising_inside_is_standardising_outside(weighted):
    torch.manual_seed(0)
    x, weight = draw()
    weight = weight if weighted else None
    outside = StandardScaler().fit_transform(x, sample_weight=weight)
    model = MLP(4, 3).double()
    expected = model(torch.from_numpy(outside))
    assert model.standardise(x, weight) is model
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("common_scale", [True, False])
def test_mean_and_scale_are_those_of_the_exact_search(common_scale, dtype, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)  # the sums go over several parts
    x, weight = draw(dtype=dtype)
    x = torch.cat([x, torch.full((50, 1), 0.1, dtype=dtype)], dim=1)
    search = FeatureMatrix(x, weight, standardise=not common_scale)
    model = MLP(5, 3).double().standardise(x, weight, common_scale=common_scale)
    torch.testing.assert_close(model.mean, search.mean)
    torch.testing.assert_close(model.scale[:4], search.scale[:4])
    assert search.scale[4] == torch.inf
    assert model.scale[4] == torch.finfo(torch.float64).max


def test_a_common_scale_gives_mean_variance_1():
    x, _ = draw()
    model = MLP(4, 3).double().standardise(x, common_scale=True)
    assert len(set(model.scale.tolist())) == 1
    standard = (x - model.mean) / model.scale
    torch.testing.assert_close(float(standard.var(0, correction=0).mean()), 1.0)


@pytest.mark.parametrize("common_scale", [True, False])
def test_a_constant_feature_plays_no_part_even_where_a_new_value_differs(common_scale):
    torch.manual_seed(0)
    x, _ = draw(dtype=torch.float32)
    x[:, 1] = 0.1
    model = MLP(4, 3).standardise(x, common_scale=common_scale)
    before = model(x)
    x[:, 1] = 1000.0
    torch.testing.assert_close(model(x), before)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_one_example_makes_every_feature_constant():
    x, _ = draw(rows=1, dtype=torch.float32)
    model = MLP(4, 3).standardise(x, common_scale=True)
    torch.testing.assert_close(model(x), model.head(model.hidden[0].bias.relu()[None]))


def test_a_saved_model_takes_raw_features():
    x, _ = draw(dtype=torch.float32)
    model = MLP(4, 3).standardise(x)
    again = MLP(4, 3)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(x), model(x))


def test_float64_features_lose_nothing_before_they_are_standardised():
    x = torch.tensor([[1e6], [1e6 + 0.01], [1e6 + 0.02]], dtype=torch.float64)
    model = MLP(1, 2, hidden=())
    model.mean.fill_(1e6)
    model.scale.fill_(0.01)
    torch.testing.assert_close(model(x), model.head(torch.tensor([[0.0], [1.0], [2.0]])))


def test_statistics_hold_in_half_precision_features():
    x, _ = draw(width=2)
    x = x.half()
    model = MLP(2, 3).standardise(x)
    torch.testing.assert_close(model.mean.double(), x.double().mean(0))
    torch.testing.assert_close(model.scale.double(), x.double().std(0, correction=0))
    assert model(x).dtype == torch.float32


NAN = torch.tensor([[0.0, 1.0], [2.0, float("nan")]])
REFUSED = {
    "of another width": (torch.zeros(3, 5), None, r"float32 of shape \(3, 5\) .* \(N, 2\); give"),
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
    model = MLP(2, 3)
    with pytest.raises(DataError, match=said) as error:
        model.standardise(features, weight)
    assert "\n" not in str(error.value)
    assert torch.equal(model.mean, torch.zeros(2))
    assert torch.equal(model.scale, torch.ones(2))
