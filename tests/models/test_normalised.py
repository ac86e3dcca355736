"""A normalised head gives cosines."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from autobalance.errors import DataError
from autobalance.models.normalised import NormalisedLinear, with_normalised_head
from autobalance.models.small_cnn import SmallCNN


def test_logits_are_cosines():
    head, x = NormalisedLinear(5, 3), torch.randn(4, 5)
    with torch.no_grad():
        head.weight.mul_(torch.tensor([[2.0], [0.5], [7.0]]))
    expected = torch.stack([F.cosine_similarity(x, v[None]) for v in head.weight], dim=1)
    torch.testing.assert_close(head(x), expected)


def test_it_begins_with_lengths_1():
    assert torch.allclose(NormalisedLinear(5, 3).weight.norm(dim=1), torch.ones(3))


def test_a_models_head_is_replaced():
    model = SmallCNN(7, image_size=(8, 8)).double()
    assert with_normalised_head(model) is model
    logits = model(torch.randn(2, 1, 8, 8, dtype=torch.float64))
    assert logits.shape == (2, 7)
    assert logits.abs().max() <= 1
    assert "head.bias" not in model.state_dict()


def test_a_model_without_a_head_is_named():
    with pytest.raises(DataError, match="the Sequential has no linear layer named head"):
        with_normalised_head(nn.Sequential(nn.Linear(2, 2)))
