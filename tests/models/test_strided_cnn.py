"""The strided convolutional network: its size, its layers, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from autobalance.models.strided_cnn import StridedCNN


def n_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_its_size_is_as_documented():
    assert n_parameters(StridedCNN(10)) == 33_946


@pytest.mark.parametrize(("width", "channels", "size"), [(16, 1, (28, 28)), (5, 2, (9, 17))])
def test_it_has_the_parameters_counted_by_hand(width, channels, size):
    pairs = [(channels, width), (width, 2 * width), (2 * width, 4 * width)]
    places = {(28, 28): 4 * 4, (9, 17): 2 * 3}[size]
    convolutions = sum(9 * before * after + 2 * after for before, after in pairs)
    expected = convolutions + 3 * (4 * width * places + 1)
    assert n_parameters(StridedCNN(3, channels, size, width)) == expected


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 5, 11), (1, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_images_of_any_size_give_finite_logits(shape, training):
    torch.manual_seed(0)
    model = StridedCNN(4, shape[0], shape[1:]).train(training)
    logits = model(torch.randn(3, *shape))
    assert logits.shape == (3, 4)
    assert torch.isfinite(logits).all()


def test_logits_are_those_of_the_layers_written_out():
    torch.manual_seed(0)
    model, images = StridedCNN(4, width=4), torch.randn(5, 3, 32, 32)
    maps = images
    for convolution, norm, _ in model.blocks:
        maps = F.conv2d(maps, convolution.weight, stride=2, padding=1)
        mean, variance = maps.mean((0, 2, 3)), maps.var((0, 2, 3), correction=0)
        scale = norm.weight / (variance + norm.eps).sqrt()
        maps = (maps - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        maps = maps.clamp(min=0)
    expected = maps.reshape(5, -1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(images), expected)


def test_the_memory_format_changes_nothing():
    torch.manual_seed(0)
    model, images = StridedCNN(4).eval(), torch.randn(5, 3, 32, 32)
    plain = model(images)
    last = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(images.to(memory_format=torch.channels_last)), plain)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = StridedCNN(4)
    F.cross_entropy(model(torch.randn(6, 3, 32, 32)), torch.arange(6) % 4).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_learns_the_digits_in_a_few_passes():
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) / 16
    target = torch.from_numpy(labels)
    model = StridedCNN(10, 1, (8, 8))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        for batch in torch.randperm(1200).split(32):
            optimiser.zero_grad()
            F.cross_entropy(model(images[batch]), target[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        error = (model.eval()(images[1200:]).argmax(1) != target[1200:]).float().mean()
    assert error < 0.12
