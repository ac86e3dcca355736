"""Where training starts."""

import pytest
import torch
from torch import nn

from autobalance.models.initial import initialise
from autobalance.models.mlp import MLP
from autobalance.models.resnet import CifarResNet
from autobalance.models.small_cnn import SmallCNN
from autobalance.models.strided_cnn import StridedCNN


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 3, bias=False), nn.Linear(200, 100)]
)
def test_weights_have_variance_2_over_fan_in_and_biases_are_0(layer):
    torch.manual_seed(0)
    initialise(nn.Sequential(nn.ReLU(), layer))
    weight = layer.weight.detach()
    assert weight.var().item() * weight[0].numel() == pytest.approx(2, rel=0.05)
    assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(
    "make",
    [lambda: MLP(4, 3), lambda: SmallCNN(3), lambda: StridedCNN(3), lambda: CifarResNet(8, 3)],
)
def test_every_built_in_model_starts_so(make):
    torch.manual_seed(0)
    model = make()
    torch.manual_seed(0)
    again = make()
    torch.testing.assert_close(model.state_dict(), again.state_dict(), rtol=0, atol=0)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert not any(layer.bias.any() for layer in layers if layer.bias is not None)
