"""Features of images: how images are prepared, and what a network may give."""

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.data.images.sources import PixelArray
from autobalance.embedding import embed
from autobalance.errors import DataError

CPU = torch.device("cpu")
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Recorder(nn.Module):
    """Keeps what it sees, and gives the mean of each channel."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        return images.mean((2, 3))


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_an_image_of_the_resized_size_is_cropped_and_standardised():
    pixels, network = noise(2, 3, 8, 8), Recorder()
    features = embed(PixelArray(pixels), network, size=7, device=CPU)
    expected = (pixels[:, :, :7, :7] / 255 - MEAN[:, None, None]) / STD[:, None, None]
    np.testing.assert_allclose(network.seen[0].numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(features, expected.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert features.dtype == np.float32


def test_a_wide_image_is_resized_by_its_shorter_side_and_cut_in_the_middle():
    pixels = np.zeros((1, 3, 16, 48), dtype=np.uint8)
    pixels[..., 16:32] = 200
    network = Recorder()
    embed(PixelArray(pixels), network, size=14, device=CPU)
    seen = network.seen[0].numpy()
    assert seen.shape == (1, 3, 14, 14)
    np.testing.assert_allclose(seen[0, :, 7, 7], (200 / 255 - MEAN) / STD, rtol=1e-5)
    assert np.ptp(seen, axis=(2, 3)).max() < 1e-6


def test_grey_images_get_three_channels():
    network = Recorder()
    embed(PixelArray(np.full((1, 1, 9, 9), 51, dtype=np.uint8)), network, size=4, device=CPU)
    np.testing.assert_allclose(network.seen[0][0, :, 0, 0].numpy(), (0.2 - MEAN) / STD, rtol=1e-5)


def test_a_network_that_notes_its_mean_and_deviation_gets_these():
    network = Recorder()
    network.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    embed(PixelArray(np.full((1, 3, 8, 8), 255, dtype=np.uint8)), network, size=7, device=CPU)
    np.testing.assert_allclose(network.seen[0].numpy(), 2, rtol=1e-6)


def test_a_network_that_notes_other_things_gets_the_usual_ones():
    network = Recorder()
    network.pretrained_cfg = {"classifier": "head"}
    embed(PixelArray(np.full((1, 3, 8, 8), 51, dtype=np.uint8)), network, size=7, device=CPU)
    np.testing.assert_allclose(network.seen[0][0, :, 0, 0].numpy(), (0.2 - MEAN) / STD, rtol=1e-5)


def test_batches_change_nothing_and_progress_is_told():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    images, heard = PixelArray(noise(5, 3, 8, 8)), []
    whole = embed(images, network, size=7, device=CPU)
    parts = embed(images, network, size=7, batch_size=2, device=CPU, progress=heard.append)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert heard == [0.0, 0.4, 0.8]


class Giving(nn.Module):
    def __init__(self, give):
        super().__init__()
        self.give = give

    def forward(self, images):
        return self.give(images)


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (lambda x: x, r"gives a tensor of shape \(2, 3, 7, 7\) for images of shape \(2, 3, 7, 7\)"),
        (lambda x: x[:1, 0, 0], r"gives a tensor of shape \(1, 7\)"),
        (lambda x: {"features": x}, "gives a value of type dict"),
        (lambda x: x @ torch.ones(3, 3), "fails on images of shape .*RuntimeError.*--image-size"),
        (
            lambda x: x[:, 0, 0, : len(x)],
            "gives 2 features for some images and 1 for others",
        ),
        (
            lambda x: x.mean((2, 3)) / (len(x) - 1),
            "features that are not finite for image 2; check its weights",
        ),
    ],
)
def test_what_is_no_features_is_told(give, said):
    with pytest.raises(DataError, match=said):
        embed(PixelArray(noise(3, 3, 8, 8)), Giving(give), size=7, batch_size=2, device=CPU)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"size": 0}, "image size is 0"), ({"batch_size": 0}, "batch size is 0")],
)
def test_sizes_below_1_are_refused(options, said):
    with pytest.raises(DataError, match=said):
        embed(PixelArray(noise(1, 3, 8, 8)), Recorder(), device=CPU, **options)


def test_no_image_is_refused():
    with pytest.raises(DataError, match="no image to embed"):
        embed(PixelArray(noise(0, 3, 8, 8)), Recorder(), device=CPU)
