"""Images inside the model are what they are outside, and hypergradients go through."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models import pixels as module
from autobalance.models.pixels import Pixels
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings


def draw(n=20, size=(6, 5), channels=3):
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([256, 100, 30])[:channels, None, None]
    return (torch.rand(n, channels, *size, generator=generator) * scale).to(torch.uint8)


def test_channels_have_mean_0_and_std_1(monkeypatch):
    monkeypatch.setattr(module, "_IMAGES", 7)
    images, front = draw(), Pixels(3)
    assert front.fit(images) is front
    x = images.numpy() / 255
    np.testing.assert_allclose(front.mean, x.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(front.std, x.std((0, 2, 3)), rtol=1e-6)
    expected = (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True)
    out = front(images)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_before_it_is_fitted_values_are_from_0_to_1():
    out = Pixels(1)(torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_a_constant_channel_is_0():
    images = draw()
    images[:, 1] = 77
    torch.testing.assert_close(Pixels(3).fit(images)(images)[:, 1], torch.zeros(20, 6, 5))


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(2, 3, 2, 1), (6, 5, 0, 0)])
def test_the_middle_is_kept(height, width, rows, columns):
    images = draw()
    middle = images[:, :, rows : rows + height, columns : columns + width]
    front, plain = Pixels(3, size=(height, width)).fit(images), Pixels(3).fit(images)
    assert torch.equal(front(images), plain(middle))
    assert torch.equal(front(middle), plain(middle))


def test_a_saved_model_takes_images():
    front, again = Pixels(3).fit(draw()), Pixels(3)
    again.load_state_dict(front.state_dict())
    assert torch.equal(again(draw()), front(draw()))


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (draw(channels=1), "images are uint8 of shape (20, 1, 6, 5); give uint8, or floats from 0"),
        (draw()[0], "images are uint8 of shape (3, 6, 5); give uint8"),
        (draw(size=(3, 5)), "images of 3 × 5 are smaller than the 4 × 4 that the model takes"),
    ],
    ids=["grey", "one", "small"],
)
def test_what_it_does_not_take_is_named(images, message):
    front = Pixels(3, size=(4, 4))
    for call in (front, front.fit):
        with pytest.raises(DataError, match=re.escape(message)):
            call(images)


@pytest.mark.usefixtures("plain_calls")
def test_whole_numbers_are_no_images_and_floats_are_none_to_fit():
    with pytest.raises(DataError, match=r"images are int64 of shape .*; give uint8, or floats"):
        Pixels(3)(draw().long())
    with pytest.raises(DataError, match="images are float32; fit mean and std to bytes, uint8"):
        Pixels(3).fit(draw().float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_between_bytes_are_between_what_these_give(dtype):
    images, front = draw(), Pixels(3).fit(draw())
    torch.testing.assert_close(front(images.to(dtype)), front(images))
    halves = front((images // 2).to(dtype) + 0.5)
    expected = (front(images // 2) + front(images // 2 + 1)) / 2
    torch.testing.assert_close(halves, expected)
    assert halves.dtype == torch.float32


def test_gradients_reach_images_that_are_floats():
    images, front = draw().float().requires_grad_(), Pixels(3).fit(draw())
    (slope,) = torch.autograd.grad(front(images).sum(), images)
    expected = 1 / (255 * front.std)
    torch.testing.assert_close(slope, expected[:, None, None].expand_as(slope))


def test_no_image_is_named():
    with pytest.raises(DataError, match="there is no pixel to take mean and std from"):
        Pixels(3).fit(draw(n=0))


def searched(front, inputs, y):
    """The loss that a search comes to beside training of a tiny network behind ``front``."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)]
    model = nn.Sequential(front, *body)
    counts = Counts(np.array([[30.0], [8.0]]), (0, 1))
    loss = ParametricCrossEntropy.from_design(preset("cross-entropy", counts))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    settings = OnlineSettings(warm_up=5, every=2)
    search = OnlineSearch(
        model, loss, "balanced", [(inputs, y)], settings=settings, trained_by=optimizer
    )
    for _ in range(15):
        optimizer.zero_grad()
        loss(model(inputs), y).backward()
        optimizer.step()
        search.step(inputs, y)
    assert len(search.history) == 5
    assert not any(move.refused for move in search.history)
    return torch.cat([loss.weight, loss.additive, loss.multiplicative])


def test_a_search_on_bytes_is_the_search_on_what_they_stand_for():
    y = torch.tensor([0] * 30 + [1] * 8)
    images = draw(n=38, size=(4, 4))
    front = Pixels(3).fit(images)
    through = searched(front, images, y)
    torch.testing.assert_close(through, searched(nn.Identity(), front(images), y))
    assert (through != torch.tensor([[1.0]] * 2 + [[0.0]] * 2 + [[1.0]] * 2)).any()
