"""The CIFAR ResNet: its size, its shortcuts, and what it takes."""

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.errors import DataError
from autobalance.models.resnet import (
    CifarResNet,
    option_a_shortcut,
    resnet8,
    resnet14,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
)


def n_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def by_hand(depth, n_classes, in_channels, u=16):
    """Convolutions of 3 × 3, two numbers of batch norm a channel, and the linear layer."""
    n, v, w = (depth - 2) // 6, 2 * u, 4 * u
    pairs = [(in_channels, u), *[(u, u)] * 2 * n]
    pairs += [(u, v), *[(v, v)] * (2 * n - 1), (v, w), *[(w, w)] * (2 * n - 1)]
    return sum(9 * a * b + 2 * b for a, b in pairs) + (w + 1) * n_classes


def test_resnet_32_is_of_the_published_size():
    assert n_parameters(resnet32(10)) == 464_154


@pytest.mark.parametrize(
    ("model", "depth"),
    [
        (resnet8, 8),
        (resnet14, 14),
        (resnet20, 20),
        (resnet32, 32),
        (resnet44, 44),
        (resnet56, 56),
    ],
)
@pytest.mark.parametrize(("n_classes", "in_channels"), [(10, 3), (2, 1)])
def test_every_depth_has_the_parameters_counted_by_hand(model, depth, n_classes, in_channels):
    built = model(n_classes, in_channels)
    assert n_parameters(built) == by_hand(depth, n_classes, in_channels)
    weighted = [m for m in built.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weighted) == depth


@pytest.mark.parametrize("width", [4, 24])
def test_the_width_is_that_of_the_first_stage(width):
    model = CifarResNet(14, 5, width=width)
    assert model.stem.out_channels == width
    assert n_parameters(model) == by_hand(14, 5, 3, width)
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 7, 12), (1, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_images_of_any_size_give_finite_logits(shape, training):
    torch.manual_seed(0)
    model = CifarResNet(8, 5, shape[0]).train(training)
    logits = model(torch.randn(4, *shape))
    assert logits.shape == (4, 5)
    assert torch.isfinite(logits).all()


def test_option_a_is_every_other_pixel_between_zeros():
    maps = np.random.default_rng(0).normal(size=(2, 4, 5, 6))
    expected = np.zeros((2, 8, 3, 3))
    for row in range(3):
        for column in range(3):
            expected[:, 2:6, row, column] = maps[:, :, 2 * row, 2 * column]
    np.testing.assert_array_equal(option_a_shortcut(torch.from_numpy(maps), 8), expected)


def test_a_shortcut_between_equal_widths_changes_nothing():
    maps = torch.randn(2, 4, 5, 6)
    assert option_a_shortcut(maps, 4) is maps


def test_a_model_whose_convolutions_are_zero_is_its_shortcuts():
    model = CifarResNet(14, 3).eval()
    for block in model.blocks:
        nn.init.zeros_(block.conv2.weight)
    images = torch.randn(2, 3, 9, 9)
    stem = model.norm(model.stem(images)).relu()
    means = torch.zeros(2, 64)
    means[:, 24:40] = stem[:, :, ::4, ::4].mean((2, 3))
    torch.testing.assert_close(model(images), model.head(means))


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = CifarResNet(8, 4)
    torch.logsumexp(model(torch.randn(6, 3, 8, 8)), 1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("depth", [33, 2, 0, -4])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(
        DataError, match=rf"6n \+ 2 but {depth} is not; use 8, 14, 20, 32, 44 or 56"
    ):
        CifarResNet(depth, 10)
