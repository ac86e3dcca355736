"""What a network is trained with where nothing is said."""

import pytest

from autobalance.network_settings import IMAGE_TRAINING, TABULAR_TRAINING, usual_augmentation
from autobalance.training.augment import CropAndFlip


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 32, 32), CropAndFlip(4, flip=True)),
        ((1, 28, 28), CropAndFlip(3, flip=False)),
        ((3, 64, 128), CropAndFlip(8, flip=True)),
        ((3, 7, 7), CropAndFlip(0, flip=True)),
    ],
)
def test_crops_follow_the_size_and_only_colour_images_are_flipped(shape, expected):
    assert usual_augmentation(shape) == expected


def test_features_are_trained_at_a_lower_rate_than_images_and_those_are_warmed_up():
    assert TABULAR_TRAINING.learning_rate < IMAGE_TRAINING.learning_rate < 0.1
    assert (TABULAR_TRAINING.warm_up_epochs, IMAGE_TRAINING.warm_up_epochs) == (0, 1)
