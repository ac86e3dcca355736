import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autobalance.data.images.decoding import decode, fit_to_size
from autobalance.errors import DataError


def saved(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def test_colour_and_grey_stay_what_they_are(noise):
    pixels = noise(3, 5, 3)
    colour = decode(saved(Image.fromarray(pixels)), "x")
    np.testing.assert_array_equal(colour, pixels.transpose(2, 0, 1))
    grey = decode(saved(Image.fromarray(pixels[..., 0])), "x")
    np.testing.assert_array_equal(grey, pixels[None, ..., 0])
    black_and_white = Image.fromarray(pixels[..., 0] > 127)
    assert black_and_white.mode == "1"
    np.testing.assert_array_equal(
        decode(saved(black_and_white), "x"), 255 * (pixels[None, ..., 0] > 127)
    )


def test_other_kinds_become_rgb():
    palette = Image.new("RGB", (2, 2), (200, 100, 0)).quantize(4)
    translucent = Image.new("RGBA", (2, 2), (200, 100, 0, 7))
    grey_translucent = Image.new("LA", (2, 2), (50, 7))
    holed = palette.copy()
    for image, expected, options in [
        (palette, [200, 100, 0], {}),
        (holed, [200, 100, 0], {"transparency": b"\x07\x08"}),
        (translucent, [200, 100, 0], {}),
        (grey_translucent, [50, 50, 50], {}),
    ]:
        assert decode(saved(image, **options), "x")[:, 1, 1].tolist() == expected
    cmyk = decode(saved(Image.new("CMYK", (2, 2), (255, 0, 0, 0)), "TIFF"), "x")
    assert cmyk[:, 0, 0].tolist() == [0, 255, 255]


def test_the_upper_half_of_16_bits_stays():
    deep = Image.fromarray(np.array([[0, 255, 256, 65_535]], dtype=np.uint16))
    image = decode(saved(deep), "x")
    np.testing.assert_array_equal(image, np.broadcast_to([[0, 0, 1, 255]], (3, 1, 4)))


def test_the_first_picture_of_an_animation_and_no_rotation():
    frames = [Image.new("RGB", (2, 3), (value, 0, 0)) for value in (200, 100)]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(moving, "x")[0, 0, 0] == 200
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert decode(saved(frames[0], "JPEG", exif=exif), "x").shape == (3, 3, 2)


def test_a_file(tmp_path, plant):
    assert decode(plant(tmp_path / "a.png"), "a").shape == (3, 4, 4)
    with pytest.raises(DataError, match="the image does not exist; restore the file"):
        decode(tmp_path / "none.png", "the image")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its format is unknown"),
        (b"text", "its format is unknown"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "its format is unknown"),
    ],
)
def test_what_is_no_image(data, reason):
    with pytest.raises(DataError, match=rf"image 3 is not a readable image \({reason}\); restore"):
        decode(data, "image 3")


def test_floating_point_is_refused():
    data = saved(Image.fromarray(np.ones((2, 2), dtype=np.float32)), "TIFF")
    with pytest.raises(DataError, match="image 3 holds floating-point pixels; save it with 8 bits"):
        decode(data, "image 3")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"])
def test_every_truncation_is_one_clear_error(noise, form):
    data = saved(Image.fromarray(noise(6, 6, 3)), form)
    for end in range(len(data) // 2):
        with pytest.raises(DataError, match="image 3 is not a readable image"):
            decode(data[:end], "image 3")


@given(place=st.integers(0, 120), value=st.integers(0, 255))
def test_a_changed_byte_is_an_image_or_one_clear_error(noise, place, value):
    data = bytearray(saved(Image.fromarray(noise(4, 4, 3))))
    data[min(place, len(data) - 1)] = value
    with contextlib.suppress(DataError):
        assert decode(bytes(data), "x").dtype == np.uint8


@given(
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_any_size_fits_any_other(channels, height, width, size):
    image = np.full((channels, height, width), 77, dtype=np.uint8)
    fitted = fit_to_size(image, size)
    assert (fitted.shape, fitted.dtype) == ((channels, *size), np.uint8)
    assert (fitted == 77).all()


def test_the_longer_side_is_cropped_evenly():
    image = np.zeros((1, 4, 12), dtype=np.uint8)
    image[:, :, 4:8] = 200
    assert (fit_to_size(image, (4, 4)) == 200).all()
    assert (fit_to_size(image, (2, 2)) >= 100).all()
    tall = fit_to_size(image.transpose(0, 2, 1), (4, 4))
    assert (tall == 200).all()


def test_an_image_of_the_size_is_untouched(noise):
    image = noise(3, 5, 7)
    assert fit_to_size(image, (5, 7)) is image
