"""Long-tailed data sets of images, and the problem that everything is developed on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor

from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.named import read_named
from autobalance.data.images.sources import pixels
from autobalance.data.longtail import long_tailed_indices
from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples

RATIO = 100.0
LEFT_FOR_DEVELOPMENT = 1000
"""Training images of each class, the last ones, on which development is scored."""


@dataclass(frozen=True)
class Case:
    """A data set whose training part is thinned to a long tail of ratio 100, by ``ceil``.

    Parameters
    ----------
    data
        Name of the data set, for :func:`~autobalance.data.images.named.read_named`.
    title
        What stands beside every figure.
    largest
        Training images of the largest class.
    augment
        In every training, of every method.
    """

    data: str
    title: str
    largest: int
    augment: CropAndFlip


CASES = {
    "fashion-mnist-lt": Case("fashion-mnist", "Fashion-MNIST-LT", 6000, CropAndFlip(2)),
    "cifar10-lt": Case("cifar10", "CIFAR10-LT (JPEG)", 5000, CropAndFlip(4)),
}


@dataclass(frozen=True, eq=False)
class Data:
    """What is trained on, and what is predicted at the end."""

    train: Examples
    test_images: UInt8[Tensor, "T C H W"]
    test_y: Int[ndarray, "T"]


def read_case(data_dir: Path, case: Case, development: bool = False) -> Data:
    """Read a data set and thin its training part; only the images that are needed are decoded.

    Parameters
    ----------
    data_dir
        The folder of all data.
    case
        Which data set.
    development
        Leave the test part alone: the last 1,000 training images of each class are scored instead,
        and the tail comes from the others.
    """
    whole = read_named(case.data, data_dir)
    train = whole.part("train")
    if development:
        order = _ranks_within_classes(_codes(train))
        left = order >= case.largest - LEFT_FOR_DEVELOPMENT
        train, test = train.rows(~left), train.rows(left)
        largest = case.largest - LEFT_FOR_DEVELOPMENT
    else:
        test, largest = whole.part("test"), case.largest
    train = train.rows(long_tailed_indices(_codes(train), RATIO, n_max=largest))
    return Data(
        Examples.coded(torch.from_numpy(pixels(train.images)), train.targets),
        torch.from_numpy(pixels(test.images)),
        _codes(test),
    )


def _codes(images: ImageSet) -> Int[ndarray, "N"]:
    return np.unique(images.targets, return_inverse=True)[1]


def _ranks_within_classes(y: Int[ndarray, "N"]) -> Int[ndarray, "N"]:
    """How many examples of its class come before each example."""
    return pd.Series(y).groupby(y).cumcount().to_numpy()
