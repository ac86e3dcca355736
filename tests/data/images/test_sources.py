import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.images.joined import JoinedImages, join
from autobalance.data.images.sources import (
    EncodedImages,
    ImageFiles,
    ImageSource,
    PixelArray,
    pixels,
)
from autobalance.errors import DataError

COLOURS = [(value, 0, 9) for value in range(5)]


@pytest.fixture(params=["array", "encoded", "files", "joined", "one joined"])
def source(request, tmp_path, png, plant):
    """The same five images from everywhere."""
    array = np.zeros((5, 3, 4, 4), dtype=np.uint8)
    array[:] = np.array(COLOURS)[:, :, None, None]
    encoded = [png(colour) for colour in COLOURS]
    return {
        "array": lambda: PixelArray(array),
        "encoded": lambda: EncodedImages(encoded),
        "files": lambda: ImageFiles(
            [plant(tmp_path / f"{number}.png", colour) for number, colour in enumerate(COLOURS)]
        ),
        "joined": lambda: join([PixelArray(array[:2]), EncodedImages(encoded[2:])]),
        "one joined": lambda: join([PixelArray(array)]),
    }[request.param]()


def test_sources_are_alike(source, first_pixel):
    assert isinstance(source, ImageSource)
    assert len(source) == 5
    assert first_pixel(source) == [list(colour) for colour in COLOURS]
    np.testing.assert_array_equal(source[-1], source[4])
    with pytest.raises(IndexError):
        source[5]
    chosen = source.rows(np.array([3, 0, 3]))
    assert first_pixel(chosen) == [[3, 0, 9], [0, 0, 9], [3, 0, 9]]
    again = chosen.rows(np.array([2, 1]))
    assert first_pixel(again) == [[3, 0, 9], [0, 0, 9]]
    with pytest.raises(IndexError):
        chosen.rows(np.array([3]))
    assert len(source.rows(np.array([], dtype=int))) == 0
    assert pixels(source)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert pixels(source, (2, 3)).shape == (5, 3, 2, 3)


def test_the_shape_is_known_of_pixels_alone(noise, png):
    grey, colour = PixelArray(noise(2, 1, 4, 6)), PixelArray(noise(2, 3, 4, 6))
    assert grey.shape == (1, 4, 6)
    assert EncodedImages([png()]).shape is None
    assert ImageFiles(["a.png"]).shape is None
    assert JoinedImages([grey, grey]).shape == (1, 4, 6)
    assert JoinedImages([grey, colour]).shape is None
    assert JoinedImages([grey, EncodedImages([png()])]).shape is None


def test_pixels_of_an_array_are_not_copied(noise):
    array = noise(2, 1, 4, 6)
    assert pixels(PixelArray(array)) is array
    assert pixels(PixelArray(array), (4, 6)) is array


@pytest.mark.parametrize("channels", [2, 4])
def test_other_numbers_of_channels(noise, channels):
    with pytest.raises(DataError, match=f"have {channels} channels; give one channel"):
        PixelArray(noise(2, channels, 4, 4))


@given(kinds=st.lists(st.booleans(), min_size=1, max_size=6))
def test_grey_among_colour_becomes_rgb(png, kinds):
    encoded = [
        png((7, 8, 9)) if coloured else png(value, mode="L") for value, coloured in enumerate(kinds)
    ]
    array = pixels(EncodedImages(encoded))
    assert array.shape[1] == (3 if any(kinds) else 1)
    for value, coloured in enumerate(kinds):
        expected = [7, 8, 9] if coloured else [value] * array.shape[1]
        assert array[value, :, 0, 0].tolist() == expected


def test_sizes_that_differ_need_one(png):
    source = EncodedImages([png(), png(size=(4, 6))])
    with pytest.raises(
        DataError, match=r"image 1 has 4 x 6 pixels but the first one has 4 x 4; give an image size"
    ):
        pixels(source)
    assert pixels(source, (4, 4)).shape == (2, 3, 4, 4)
    with pytest.raises(DataError, match="an image size of 0 x 4 is none"):
        pixels(source, (0, 4))


def test_no_image():
    with pytest.raises(DataError, match="there is no image to read"):
        pixels(EncodedImages([]))


def test_errors_name_the_image(tmp_path, png):
    source = EncodedImages([png(), b"", png()], "birds.parquet").rows(np.array([2, 1]))
    with pytest.raises(DataError, match=r"^image 1 of birds\.parquet is not a readable image"):
        pixels(source)
    (tmp_path / "torn.jpg").write_bytes(png(form="JPEG")[:100])
    with pytest.raises(DataError, match=r"^.*torn\.jpg is not a readable image"):
        pixels(ImageFiles([tmp_path / "torn.jpg"]))
