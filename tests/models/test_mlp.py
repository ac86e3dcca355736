"""The multi-layer perceptron: its layers."""

import pytest
import torch

from autobalance.models.mlp import MLP


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
