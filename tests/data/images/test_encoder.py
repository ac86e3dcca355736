import json

import numpy as np
import pytest

import autobalance.data.images.encoder as module
from autobalance.data.images.encoder import ImageEncoder, shape_text
from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import EncodedImages, PixelArray
from autobalance.errors import ArtifactError, DataError


def images_of(source):
    return ImageSet("birds", source, as_objects([0] * len(source)))


def test_images_of_one_size_stay_as_they_are(noise):
    pixels = noise(5, 3, 4, 6)
    encoder, array = ImageEncoder.fit(images_of(PixelArray(pixels)))
    assert encoder == ImageEncoder(3, 4, 6, resize=False)
    assert encoder.shape == (3, 4, 6)
    np.testing.assert_array_equal(array, pixels)
    np.testing.assert_array_equal(encoder.transform(images_of(PixelArray(pixels))), pixels)


def test_a_size_brings_all_images_to_it(png):
    images = images_of(EncodedImages([png(size=(4, 9)), png(size=(7, 5))]))
    with pytest.raises(DataError, match="give an image size"):
        ImageEncoder.fit(images)
    encoder, array = ImageEncoder.fit(images, size=6)
    assert (encoder.shape, array.shape) == ((3, 6, 6), (2, 3, 6, 6))
    assert encoder.transform(images_of(EncodedImages([png(size=(2, 2))]))).shape == (1, 3, 6, 6)
    with pytest.raises(DataError, match="an image size of 0 x 0 is none; use 1 or more"):
        ImageEncoder.fit(images, size=0)


def test_further_images_of_another_shape(noise):
    encoder = ImageEncoder(1, 4, 4)
    with pytest.raises(
        DataError, match="birds has images of 1 × 5 × 4 but the model is fitted on images of 1 × 4"
    ):
        encoder.transform(images_of(PixelArray(noise(2, 1, 5, 4))))
    with pytest.raises(DataError, match="has images of 3 × 4 × 4"):
        encoder.transform(images_of(PixelArray(noise(2, 3, 4, 4))))


def test_grey_images_for_a_model_of_colours(noise):
    grey = noise(2, 1, 4, 4)
    array = ImageEncoder(3, 4, 4).transform(images_of(PixelArray(grey)))
    np.testing.assert_array_equal(array, np.repeat(grey, 3, axis=1))


def test_too_many_images(monkeypatch, noise):
    monkeypatch.setattr(module, "MOST_BYTES", 2 * 3 * 16)
    ImageEncoder.fit(images_of(PixelArray(noise(2, 3, 4, 4))))
    with pytest.raises(DataError, match=r"3 images of 3 × 4 × 4 take 0\.0 GiB of memory, above"):
        ImageEncoder.fit(images_of(PixelArray(noise(3, 3, 4, 4))))
    assert ImageEncoder.fit(images_of(PixelArray(noise(3, 3, 4, 4))), size=2)[1].shape[2] == 2
    with pytest.raises(DataError, match="lower --image-size"):
        ImageEncoder(3, 4, 4, resize=True).transform(images_of(PixelArray(noise(3, 3, 2, 2))))


def test_no_image():
    for read in (ImageEncoder.fit, ImageEncoder(3, 4, 4).transform):
        with pytest.raises(DataError, match="birds has no image; check the data set"):
            read(images_of(EncodedImages([])))


def test_a_state_survives_json():
    for encoder in (ImageEncoder(3, 4, 6), ImageEncoder(1, 28, 28, resize=True)):
        assert ImageEncoder.from_state(json.loads(json.dumps(encoder.to_state()))) == encoder


@pytest.mark.parametrize(
    "change",
    [{"channels": 2}, {"height": 0}, {"width": "wide"}, {"height": None}, {"resize": ...}],
)
def test_damaged_states(change):
    state = {**ImageEncoder(3, 4, 6).to_state(), **change}
    if change == {"resize": ...}:
        del state["resize"]
    with pytest.raises(
        ArtifactError, match=r"the saved image encoder is damaged \(.*fit the model"
    ):
        ImageEncoder.from_state(state)


def test_shapes_as_people_read_them():
    assert shape_text((3, 64, 32)) == "3 × 64 × 32"
