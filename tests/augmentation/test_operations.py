"""Operations against Pillow's and closed forms, and what holds for all of them."""

import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.operations import (
    OPERATIONS,
    VECTORS,
    either_way,
    in_unit_ball,
    kornia_modules,
    one_way,
    operation,
)
from autobalance.augmentation.policy import Policy
from autobalance.errors import DataError, DesignError

ON_IMAGES = [name for name, each in OPERATIONS.items() if each.takes != VECTORS]
WITH_MAGNITUDE = [name for name, each in OPERATIONS.items() if each.largest > 0]
ROUNDING = 1e-5
LEVEL = 1 / 255


def in_pillow(images, function):
    """What a function of Pillow makes of byte images, as numbers from 0 to 1."""
    changed = [
        np.asarray(function(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in images
    ]
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2) / 255


def ours(name, images, strength):
    return OPERATIONS[name].apply(images / 255, torch.full((len(images),), float(strength)))


def apart(found, expected):
    return float((found - expected).abs().max())


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterise_is_pillows_at_whole_bits(draw_inputs, bits):
    images = draw_inputs(dtype=torch.uint8)
    expected = in_pillow(images, lambda image: ImageOps.posterize(image, bits))
    assert apart(ours("posterize", images, 8 - bits), expected) < ROUNDING


@pytest.mark.parametrize("sixteenths", range(17))
def test_solarise_is_pillows_at_sixteenths(draw_inputs, sixteenths):
    images = draw_inputs(dtype=torch.uint8)
    images[:, :, 0] = torch.arange(0, 256, 32)  # on the thresholds
    threshold = 256 - 16 * sixteenths
    expected = in_pillow(images, lambda image: ImageOps.solarize(image, threshold))
    assert apart(ours("solarize", images, sixteenths / 16), expected) < ROUNDING


@pytest.mark.parametrize(
    ("name", "function", "levels"),
    [
        ("invert", ImageOps.invert, 0),
        ("equalize", ImageOps.equalize, 0),
        ("autocontrast", ImageOps.autocontrast, 1),
    ],
)
def test_what_has_no_magnitude_is_pillows(name, function, levels):
    generator = torch.Generator().manual_seed(0)
    images = 200 * torch.rand(6, 3, 32, 32, generator=generator).square() + 30
    images = images.to(torch.uint8)
    expected = in_pillow(images, function)
    assert apart(expected, images / 255) > 20 * LEVEL
    assert apart(ours(name, images, 0), expected) < levels * LEVEL + ROUNDING


@pytest.mark.parametrize("strength", [-0.9, -0.4, 0.3, 0.9])
@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_pillows_within_two_levels(draw_inputs, name, enhancer, strength):
    images = draw_inputs(dtype=torch.uint8)
    expected = in_pillow(images, lambda image: enhancer(image).enhance(1 + strength))
    assert apart(expected, images / 255) > 20 * LEVEL
    assert apart(ours(name, images, strength), expected) < 2 * LEVEL


@pytest.mark.parametrize(("name", "axis"), [("translate-x", 3), ("translate-y", 2)])
def test_a_shift_by_whole_pixels_is_a_shift_of_the_array(draw_inputs, name, axis):
    images = draw_inputs()
    changed = OPERATIONS[name].apply(images, torch.full((len(images),), 0.25).double())
    expected = torch.roll(images, 2, axis)
    expected.narrow(axis, 0, 2).zero_()
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("turns", [-1, 1])
def test_a_rotation_by_a_right_angle_is_one_of_the_array(draw_inputs, turns):
    images = draw_inputs()
    changed = OPERATIONS["rotate"].apply(images, torch.full((len(images),), 90.0 * turns).double())
    torch.testing.assert_close(changed, torch.rot90(images, turns, (2, 3)), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["shear-x", "shear-y"])
def test_a_shear_moves_each_line_by_its_distance_from_the_first(name):
    ramp = torch.arange(21.0) / 30 + 0.1  # bilinear interpolation is exact on it
    images = (ramp if name == "shear-x" else ramp[:, None]).expand(1, 1, 21, 21)
    changed = OPERATIONS[name].apply(images, torch.tensor([0.3]))
    moved = (changed - images).select(3 if name == "shear-x" else 2, 10)[0, 0] * 30  # in pixels
    torch.testing.assert_close(moved, -0.3 * torch.arange(21), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", WITH_MAGNITUDE)
def test_strength_0_changes_nothing(draw_inputs, name, dtype):
    inputs = draw_inputs(takes=OPERATIONS[name].takes, dtype=dtype)
    zeros = inputs.new_zeros(len(inputs), *(inputs.shape[1:] if name == "ball" else ()))
    changed = OPERATIONS[name].apply(inputs, zeros)
    assert changed.dtype == dtype
    assert apart(changed, inputs) < (2e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", WITH_MAGNITUDE)
def test_the_largest_strength_changes_much(draw_inputs, name, sign):
    each = OPERATIONS[name]
    inputs = draw_inputs(takes=each.takes)
    sign = 1 if each.amounts is one_way else sign
    strength = inputs.new_full((len(inputs),), sign * min(each.largest, 1e3))
    strength = strength[:, None].expand_as(inputs) if name == "ball" else strength
    changes = (each.apply(inputs, strength) - inputs).abs().amax(tuple(range(1, inputs.ndim)))
    assert (changes > 0.03).all()


@pytest.mark.parametrize("name", ON_IMAGES)
def test_images_stay_between_0_and_1(name):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 9, 7, generator=generator)
    images[0], images[1] = 0, 1
    images[2:10] = images[2:10].round()
    each = OPERATIONS[name]
    for sign in (0.0, 1.0) if each.amounts is one_way else (-1.0, 0.0, 1.0):
        strength = sign * each.largest * torch.rand(40, generator=generator).sqrt()
        changed = each.apply(images, strength)
        assert changed.shape == images.shape
        assert changed.min() >= -1e-6
        assert changed.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", ["posterize", "solarize"])
def test_between_whole_levels_it_is_interpolated(draw_inputs, name):
    images = draw_inputs(n=1)
    each = OPERATIONS[name]
    unit = 1.0 if name == "posterize" else 1 / 16

    def at(level):
        return each.apply(images, torch.tensor([level * unit], dtype=torch.float64))

    for level in range(4):
        mixed = 0.7 * at(level) + 0.3 * at(level + 1)
        torch.testing.assert_close(at(level + 0.3), mixed)


def test_a_flat_image_has_no_contrast_to_stretch():
    images = torch.full((2, 3, 8, 8), 0.3)
    images[1, :, 0, 0] = 0.1
    changed = OPERATIONS["autocontrast"].apply(images, torch.zeros(2))
    assert torch.equal(changed[0], images[0])
    assert apart(changed[1].amax(), torch.tensor(1.0)) < ROUNDING


@pytest.mark.parametrize("name", ["equalize", "posterize"])
def test_tables_of_levels_let_the_gradient_through(draw_inputs, name):
    images = draw_inputs().requires_grad_()
    strength = torch.full((len(images),), 2.0).double()
    changed = OPERATIONS[name].apply(images, strength)
    (slope,) = torch.autograd.grad(changed.sum(), images)
    torch.testing.assert_close(slope, torch.ones_like(slope))


def test_draws_are_in_their_ranges():
    generator = torch.Generator().manual_seed(0)
    both, one = (draw(20000, (3, 8, 8), generator) for draw in (either_way, one_way))
    for values, low in ((both, -1.0), (one, 0.0)):
        assert values.dtype == torch.float64
        assert values.min() >= low
        assert values.max() <= 1
        middle, deviation = (1 + low) / 2, (1 - low) / 12**0.5
        assert abs(float(values.mean()) - middle) < 4 * deviation / 20000**0.5
        assert float(values.std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("dimension", [1, 2, 7])
def test_the_ball_is_filled_evenly(dimension):
    points = in_unit_ball(20000, (dimension,), torch.Generator().manual_seed(0))
    volume = points.norm(dim=1) ** dimension  # uniform from 0 to 1
    assert volume.max() <= 1 + 1e-12
    assert abs(float(volume.mean()) - 0.5) < 4 / (12 * 20000) ** 0.5
    assert float(volume.std()) == pytest.approx(12**-0.5, rel=0.02)
    scale = float(points.std())
    assert (points.mean(0).abs() < 4 * scale / 20000**0.5).all()


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (
            "rotate",
            torch.zeros(4, 5),
            "rotate changes images, and the inputs have shape (4, 5); give a tensor of shape "
            "(N, C, H, W), or another policy",
        ),
        (
            "ball",
            torch.zeros(4, 3, 8, 8),
            "ball changes vectors, and the inputs have shape (4, 3, 8, 8); give a tensor of shape "
            "(N, D), or another policy",
        ),
        (
            "saturation",
            torch.zeros(4, 1, 8, 8),
            "saturation needs images of 3 channels, and these have 1; leave it out of the policy",
        ),
        (
            "sharpness",
            torch.zeros(4, 3, 8, 2),
            "sharpness needs images of at least 3 × 3 pixels, and these are 8 × 2; leave it out",
        ),
    ],
)
def test_inputs_that_it_cannot_take_are_named(name, inputs, message):
    with pytest.raises(DataError, match=re.escape(message)):
        operation(name).check(inputs)


@pytest.mark.parametrize("name", [n for n in ON_IMAGES if n != "saturation"])
def test_all_but_saturation_take_grey_images(draw_inputs, name):
    images = draw_inputs(channels=1)
    each = OPERATIONS[name]
    each.check(images)
    assert each.apply(images, images.new_zeros(len(images))).shape == images.shape


def test_an_unknown_operation_is_named():
    with pytest.raises(DesignError, match=r"there is no operation 'blur'; use shear-x, shear-y, "):
        operation("blur")


@pytest.mark.parametrize(
    ("name", "magnitude", "said"),
    [
        ("rotate", 12.4, "rotate by up to 12°"),
        ("translate-x", 0.25, "shift sideways by up to 25% of the width"),
        ("posterize", 2.5, "posterise, up to 2.5 bits fewer"),
        ("invert", 0.0, "invert"),
        ("ball", 0.1234, "move within a ball of radius 0.123"),
    ],
)
def test_it_is_said_in_words(name, magnitude, said):
    assert OPERATIONS[name].described(magnitude) == said


def test_without_kornia_it_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(DataError, match=r'install it with pip install "autobalance\[augment\]"'):
        kornia_modules()


def test_vectors_do_without_kornia(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    augment = PolicyAugmentation(Policy.ball([[0.5], [0.1]]))
    assert augment(torch.zeros(2, 3), torch.arange(2)).all()
