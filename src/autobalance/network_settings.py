"""Which network a bench trains and how, with defaults for features and for images."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autobalance.models.factory import Factory, check_factory, model_factory
from autobalance.training.augment import CropAndFlip
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

TABULAR_TRAINING = TrainingSettings(learning_rate=0.02)
"""Training of a network on tables and embeddings: the paper's rate is for images."""
IMAGE_TRAINING = TrainingSettings(learning_rate=0.05, warm_up_epochs=1.0)
"""Training of a network on images, less the augmentation, which depends on their shape.

Half the paper's rate, which is reached after an epoch: a few epochs at 0.1 from the first step on
can leave a small network with dead ReLUs, which gives all images the same logits.
"""
_COLOUR = 3


def usual_augmentation(shape: tuple[int, ...]) -> CropAndFlip:
    """What is done to images of shape (C, H, W) in training: crops, and flips of colour ones.

    Crops are out of the image padded by an eighth of its size, 4 pixels for CIFAR's, as in the
    paper. Photographs stay what they are when they are flipped; grey images may well be digits,
    letters or scans, which do not.
    """
    channels, height, width = shape
    return CropAndFlip(min(height, width) // 8, flip=channels == _COLOUR)


@dataclass(frozen=True)
class NetworkSettings:
    """Which network, and how it is trained and searched.

    Parameters
    ----------
    model
        A built-in name, an import path (see :mod:`autobalance.models.factory`), or a factory: from
        the shape of one example, ``(D,)`` or ``(C, H, W)``, and K to a module. It sees standardised
        features, or pixels with standardised channels.
    training
        Epochs, optimizer and schedule.
    plan
        Warm-up and moves; the held-out share is that of the split.
    device
        Where to train; by default a GPU if there is one.
    checkpoints
        A folder for them, so that an interrupted fit can be resumed.
    """

    model: str | Factory = "mlp"
    training: TrainingSettings = TABULAR_TRAINING
    plan: SearchPlan = field(default_factory=SearchPlan)
    device: str | None = None
    checkpoints: Path | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            check_factory(self.model, "a function of the shape of one example and K")

    @property
    def name(self) -> str:
        """What is said of the model."""
        return self.model if isinstance(self.model, str) else _path_of(self.model)

    @property
    def factory(self) -> Factory:
        """What makes the model."""
        return model_factory(self.model) if isinstance(self.model, str) else self.model


def _path_of(factory: Any) -> str:
    """Where a factory's code lies; of a partial function, the whole one's."""
    if isinstance(factory, partial):
        factory = factory.func
    named = factory if hasattr(factory, "__qualname__") else type(factory)
    return f"{named.__module__}:{named.__qualname__}"
