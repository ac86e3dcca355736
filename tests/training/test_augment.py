"""Augmentation draws what it says, for every image of a batch by itself."""

import math
import re

import pytest
import torch
from torch.nn import functional as F

from autobalance.errors import DataError
from autobalance.training.augment import CropAndFlip, ResizedCropAndFlip


def draw(n, size=(7, 6), channels=2):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(1, 256, (n, channels, *size), generator=generator, dtype=torch.uint8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(images, padding):
    """Every window of each padded image and its mirror image, image by image."""
    _, _, height, width = images.shape
    found = []
    for image in F.pad(images, (padding,) * 4):
        places = {}
        for top in range(2 * padding + 1):
            for left in range(2 * padding + 1):
                window = image[:, top : top + height, left : left + width]
                places[top, left, False] = window
                places[top, left, True] = window.flip(2)
        found.append(places)
    return found


def draws_of(before, after, padding):
    """Where each window came from: offsets and whether it was flipped."""
    return [
        next(place for place, window in places.items() if torch.equal(window, image))
        for places, image in zip(windows(before, padding), after, strict=True)
    ]


def test_each_crop_is_a_window_and_all_are_alike_frequent():
    images = draw(1800)
    out = CropAndFlip(1)(images, generator())
    assert out.dtype == torch.uint8
    places = draws_of(images, out, 1)
    times = {place: places.count(place) for place in set(places)}
    assert len(times) == 18
    # of 100 expected, each with a standard deviation below 10
    assert all(60 < count < 140 for count in times.values())


def test_padding_4_reaches_every_offset():
    images = draw(600)
    places = draws_of(images, CropAndFlip()(images, generator()), 4)
    assert {top for top, *_ in places} == {left for _, left, _ in places} == set(range(9))


def test_without_flips_and_padding_images_stay():
    images = draw(20)
    assert torch.equal(CropAndFlip(0, flip=False)(images, generator()), images)
    flipped = [flip for *_, flip in draws_of(images, CropAndFlip(0)(images, generator()), 0)]
    assert 2 < sum(flipped) < 18
    unflipped = draws_of(images, CropAndFlip(2, flip=False)(images, generator()), 2)
    assert not any(flip for *_, flip in unflipped)


@pytest.mark.parametrize("augment", [CropAndFlip(), ResizedCropAndFlip(5)], ids=str)
def test_draws_are_those_of_the_generator_alone(augment):
    images = draw(9)
    before = torch.get_rng_state()
    stream = generator()
    first, second = augment(images, stream), augment(images, stream)
    assert torch.equal(first, augment(images, generator()))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(augment(channels_last, generator()), first)


def ramps(n, height, width):
    """Images whose two channels tell each pixel's row and column."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8)[None].expand(height, width)
    return torch.stack([rows, columns]).expand(n, 2, height, width)


@pytest.mark.parametrize(("height", "width"), [(120, 120), (90, 180)])
def test_resized_windows_have_the_areas_and_ratios_of_the_papers(height, width):
    """Corners of a ramp tell the window, to about a pixel."""
    size = 40
    out = ResizedCropAndFlip(size)(ramps(4000, height, width), generator()).double()
    rows, columns = out[:, 0, :, size // 2], out[:, 1, size // 2]
    heights = (rows[:, -1] - rows[:, 0]) * size / (size - 1)
    steps = columns[:, -1] - columns[:, 0]
    widths = steps.abs() * size / (size - 1)
    area, ratio = heights * widths / (height * width), widths / heights
    assert 0.06 < area.min() < 0.1
    assert area.max() < 1.03
    assert 0.69 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.45
    assert 0.45 < (steps < 0).double().mean() < 0.55
    if height == width:
        # of those draws that fit, by a loop over single draws
        expected = drawn_one_by_one(height, width)
        assert area.mean() == pytest.approx(expected[0], abs=0.02)
        assert ratio.log().mean() == pytest.approx(expected[1], abs=0.02)
        assert (rows[:, size // 2] + 0.5).mean() == pytest.approx(height / 2, abs=1.5)


def drawn_one_by_one(height, width):
    """Mean area and logarithmic ratio of torchvision's loop, without its rounding."""
    stream = generator(1)

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=stream))

    areas, ratios = [], []
    while len(areas) < 2000:
        area, ratio = uniform(0.08, 1), math.exp(uniform(math.log(3 / 4), math.log(4 / 3)))
        w = (area * height * width * ratio) ** 0.5
        h = (area * height * width / ratio) ** 0.5
        if w <= width and h <= height:
            areas.append(area)
            ratios.append(math.log(ratio))
    return sum(areas) / 2000, sum(ratios) / 2000


def test_where_no_window_fits_it_is_the_largest_in_the_middle():
    out = ResizedCropAndFlip(20)(ramps(200, 2, 200), generator()).double()
    spans = (out[:, 1, 0, -1] - out[:, 1, 0, 0]).abs() * 20 / 19
    largest = 2 * 4 / 3
    assert spans.max() <= largest + 1.2
    middles = out[:, 1].mean((1, 2))
    assert (middles - 99.5).abs().lt(1).double().mean() > 0.5  # an area of 8% seldom fits


def test_a_constant_image_stays_what_it_is():
    images = torch.tensor([0, 7, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 9, 8)
    out = ResizedCropAndFlip(4)(images, generator())
    assert torch.equal(out, images[:, :, :4, :4])


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CropAndFlip(-1), "padding is -1; use a whole number of pixels, or 0"),
        (lambda: CropAndFlip(0.5), "padding is 0.5; use a whole number"),
        (lambda: ResizedCropAndFlip(0), "size is 0; use a whole number of pixels of at least 1"),
    ],
)
def test_sizes_that_make_no_sense_are_named(make, message):
    with pytest.raises(DataError, match=re.escape(message)):
        make()
