"""The networks that hypergradients are taken of, trained for a short while on long-tailed images.

Both train with logit adjustment, where a search starts, by SGD with momentum, at a rate that falls
to 0 in a straight line. Of the long-tailed images, a fifth of each class is held out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from autobalance.batches import Batch
from autobalance.counts import Counts
from autobalance.data.images.idx import read_mnist
from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.parquet import read_parquet
from autobalance.data.images.sources import pixels
from autobalance.data.longtail import long_tailed_indices
from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.losses.presets import logit_adjustment
from autobalance.models.resnet import resnet32
from autobalance.models.small_cnn import SmallCNN
from benchmarks.hypergradient.draws import at

CLASSES = 10
RATIO = 100.0
BATCH = 128
_HELD_OUT = 5  # one in five


@dataclass(frozen=True)
class Network:
    """A network, its images and its training.

    Parameters
    ----------
    make
        An untrained one.
    parameters
        How many it must have.
    image
        Shape of an image.
    read
        From the data folder to images in [0, 1] and classes.
    largest
        Examples of the largest class, held out or not.
    steps, learning_rate
        Of the training; the rate is that of the first step.
    """

    make: Callable[[], nn.Module]
    parameters: int
    image: tuple[int, int, int]
    read: Callable[[Path], tuple[ndarray, ndarray]]
    largest: int
    steps: int
    learning_rate: float


@dataclass(frozen=True, eq=False)
class Case:
    """A trained network with the examples it was trained on, and those held out."""

    name: str
    model: nn.Module
    train: Batch
    held_out: Batch

    @cached_property
    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        """The loss that it was trained with: w, l and δ, each (K, 1)."""
        examples = np.bincount(self.train.targets.cpu().numpy(), minlength=CLASSES).astype(float)
        design = logit_adjustment(Counts(examples[:, None], tuple(range(len(examples)))))
        like = next(self.model.parameters())
        weight, additive, multiplicative = (
            torch.from_numpy(np.array(part)).to(like)
            for part in (design.weight, design.additive, design.multiplicative)
        )
        return weight, additive, multiplicative


def trained(name: str, folder: Path, device: torch.device) -> Case:
    """Train the network, the same way every time."""
    network = NETWORKS[name]
    images, classes = long_tailed(*network.read(folder), network.largest)
    held_out = _every_fifth_of_its_class(classes)
    case = _on_examples(name, images, classes, held_out, device)
    case.model.train()
    step = training_step(case)
    generator = torch.Generator().manual_seed(0)
    for done in range(network.steps):
        rows = torch.randint(len(case.train.targets), (BATCH,), generator=generator)
        step(at(case.train, rows), network.learning_rate * (1 - done / network.steps))
    case.model.eval()
    return case


def untrained(name: str, device: torch.device) -> Case:
    """The network with random weights and images, for what does not depend on either."""
    rng = np.random.default_rng(0)
    images = rng.random((1600, *NETWORKS[name].image), dtype=np.float32)
    classes = np.arange(len(images)) % CLASSES
    case = _on_examples(name, images, classes, np.arange(len(images)) < 600, device)
    _set_running_statistics(case)
    case.model.eval()
    return case


@torch.no_grad()
def _set_running_statistics(case: Case) -> None:
    """To those of a batch: with BatchNorm's own at the start, logits would overflow."""
    for module in case.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches so far
    case.model.train()(case.train.inputs[:BATCH])


def training_step(case: Case) -> Callable[[Batch, float], None]:
    """One step of training on a batch: forward, backward, SGD with momentum."""
    optimizer = torch.optim.SGD(case.model.parameters(), momentum=0.9)

    def step(batch: Batch, learning_rate: float) -> None:
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        adjusted_cross_entropy(case.model(batch.inputs), batch.targets, *case.values).backward()
        optimizer.step()

    return step


def _on_examples(
    name: str, images: ndarray, classes: ndarray, held_out: ndarray, device: torch.device
) -> Case:
    torch.manual_seed(0)
    model = NETWORKS[name].make().to(device)
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == NETWORKS[name].parameters, f"{name} has {found} parameters"
    part = [
        Batch(torch.from_numpy(images[rows]), torch.from_numpy(classes[rows])).to(device)
        for rows in (~held_out, held_out)
    ]
    return Case(name, model, *part)


def long_tailed(images: ndarray, classes: ndarray, largest: int) -> tuple[ndarray, ndarray]:
    """The first images of each class, fewer of each than of the one before."""
    kept = long_tailed_indices(classes, RATIO, n_max=largest)
    return images[kept].astype(np.float32) / 255, classes[kept]


def _every_fifth_of_its_class(classes: ndarray) -> ndarray:
    held_out = np.zeros(len(classes), dtype=bool)
    for k in range(CLASSES):
        held_out[np.flatnonzero(classes == k)[::_HELD_OUT]] = True
    return held_out


def arrays(images: ImageSet) -> tuple[ndarray, ndarray]:
    """Images (N, C, H, W) in bytes, and their classes."""
    return pixels(images.images), images.targets.astype(np.int64)


def _fashion_mnist(folder: Path) -> tuple[ndarray, ndarray]:
    return arrays(read_mnist(folder / "fashion-mnist").part("train"))


def _cifar10(folder: Path) -> tuple[ndarray, ndarray]:
    """The first 10,000 of the training files."""
    train = read_parquet(folder / "cifar10" / "train-00000-of-00001.parquet")
    return arrays(train.rows(np.arange(len(train)) < 10_000))


RESNET, CNN = "ResNet-32", "small CNN"
NETWORKS = {
    CNN: Network(partial(SmallCNN, CLASSES), 29_738, (1, 28, 28), _fashion_mnist, 2000, 150, 0.05),
    RESNET: Network(
        partial(resnet32, n_classes=CLASSES), 464_154, (3, 32, 32), _cifar10, 900, 50, 0.1
    ),
}
