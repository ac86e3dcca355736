"""Long-tailed data sets of images, and the problem that everything is developed on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor

from autobalance.data.images.named import read_named
from autobalance.data.images.sources import pixels
from autobalance.reproduce.images.data import as_examples, codes_of, thinned
from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples

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
    train, largest = whole.part("train"), case.largest
    if development:
        largest -= LEFT_FOR_DEVELOPMENT
        left = _ranks_within_classes(codes_of(train)) >= largest
        train, test = train.rows(~left), train.rows(left)
    else:
        test = whole.part("test")
    return Data(
        as_examples(thinned(train, largest), None),
        torch.from_numpy(pixels(test.images)),
        codes_of(test),
    )


def _ranks_within_classes(y: Int[ndarray, "N"]) -> Int[ndarray, "N"]:
    """How many examples of its class come before each example."""
    return pd.Series(y).groupby(y).cumcount().to_numpy()
