"""Training networks on one case with one seed: what every method has in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from autobalance.data.heldout import held_out_split
from autobalance.design import LossDesign
from autobalance.evaluation import cell_errors
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.factory import model_factory
from autobalance.models.normalised import with_normalised_head
from autobalance.models.pixels import Pixels
from autobalance.objectives import Objective
from autobalance.search.heldout import HeldOutRisk
from autobalance.training.examples import Examples
from autobalance.training.loop import Training, predict_logits
from autobalance.training.pipeline import default_device, own_randomness
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings
from benchmarks.long_tail.cases import Case, Data

HELD_OUT = 0.2
_SHARPNESS = 20.0  # of smooth maxima, which a balanced error has none of


@dataclass(frozen=True)
class Recipe:
    """How every network is trained, whatever its loss.

    The schedule and the optimizer are those of small residual networks on CIFAR: SGD with Nesterov
    momentum and weight decay 5e-4, a warm-up of one epoch and a cosine.
    """

    model: str = "strided-cnn"
    epochs: int = 20
    device: str | None = None

    def training(self, case: Case) -> TrainingSettings:
        """Optimizer, schedule and augmentation."""
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=128,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            schedule="cosine",
            warm_up_epochs=1.0,
            augment=case.augment,
        )


class Lab:
    """A case, a recipe and a seed.

    The seed decides what is held out, the first weights and the order of the batches, alike for
    every method. ``scored`` are the test images, or those that stand for them in development.
    """

    def __init__(self, case: Case, data: Data, recipe: Recipe, seed: int) -> None:
        self.seed, self.recipe = seed, recipe
        self.device = default_device(recipe.device)
        self.settings = recipe.training(case)
        self.examples: Examples = data.train.to(self.device)
        self.counts = self.examples.counts
        self.objective = Objective.parse("balanced")
        self.scored = Examples.coded(data.test_images, data.test_y).to(self.device)
        self._scaling = Pixels(data.test_images.shape[1]).fit(data.train.inputs).state_dict()

    @property
    def everything(self) -> Int[Tensor, "N"]:
        """All training examples."""
        return torch.arange(len(self.examples))

    @cached_property
    def parts(self) -> tuple[Int[Tensor, "M"], Int[Tensor, "H"]]:
        """The examples that tuning and searching train on, and those held out from it."""
        y, labels = self.examples.targets.numpy(), self.examples.classes
        split = held_out_split(y, labels, HELD_OUT, self.seed)
        return torch.from_numpy(split.train), torch.from_numpy(split.held_out)

    def folds(self, number: int) -> list[tuple[Int[Tensor, "M"], Int[Tensor, "H"]]]:
        """The like for each of a few folds, which together hold out everything."""
        splitter = StratifiedKFold(number, shuffle=True, random_state=self.seed)
        y = self.examples.targets.numpy()
        return [
            (torch.from_numpy(train), torch.from_numpy(held_out))
            for train, held_out in splitter.split(y, y)
        ]

    def preset(self, name: str, **arguments: float) -> LossDesign:
        """A closed-form loss for all training examples."""
        return preset(name, self.counts, **arguments)

    def training(self, loss: LossDesign | nn.Module, index: Tensor, cosines: bool) -> Training:
        """A fresh network, about to be trained; with ``cosines`` as logits for LDAM."""
        torch.manual_seed(self.seed)
        if isinstance(loss, LossDesign):
            loss = ParametricCrossEntropy.from_design(loss)
        shape = tuple(self.examples.inputs.shape[1:])
        network = model_factory(self.recipe.model)(shape, self.counts.n_classes)
        model = nn.Sequential(
            Pixels(shape[0]), with_normalised_head(network) if cosines else network
        )
        model[0].load_state_dict(self._scaling)
        settings = self.settings
        batches = ShuffledBatches(
            self.examples, index, settings.batch_size, self.seed, settings.augment
        )
        return Training(model.to(self.device), loss.to(self.device), batches, settings)

    def train(
        self, loss: LossDesign | nn.Module, index: Tensor | None = None, cosines: bool = False
    ) -> nn.Module:
        """The network trained with a loss, on everything by default."""
        with own_randomness(self.device):
            index = self.everything if index is None else index
            training = self.training(loss, index, cosines)
            training.run()
        return training.model

    def held_out_logits(self, model: nn.Module) -> Float[Tensor, "H K"]:
        """Of the held-out examples."""
        return predict_logits(model, self.examples, self.parts[1]).double()

    def held_out_risk(self) -> HeldOutRisk:
        """What tuning minimises: the smooth balanced error of the held-out examples."""
        y = self.examples.targets[self.parts[1]]
        return HeldOutRisk(
            y,
            torch.zeros_like(y),
            torch.ones(len(y), dtype=torch.float64),
            self.objective.bind(self.counts),
            sharpness=_SHARPNESS,
            loss="error",
        )

    def test_logits(self, model: nn.Module) -> Float[Tensor, "T K"]:
        """Of the scored images."""
        return predict_logits(model, self.scored, torch.arange(len(self.scored))).double()

    def score(self, logits: Float[Tensor, "T K"]) -> dict[str, Any]:
        """Errors on the test images in percent: of each class, and balanced."""
        y, predicted = self.scored.targets.numpy(), logits.argmax(1).numpy()
        errors = 100 * _class_errors(y, predicted, self.counts.n_classes)
        return {"balanced": float(errors.mean()), "class_errors": errors.round(2).tolist()}


def _class_errors(
    y: Int[ndarray, "T"], predicted: Int[ndarray, "T"], n_classes: int
) -> Float[ndarray, "K"]:
    return np.asarray(cell_errors(y, predicted, None, n_classes, 1))[:, 0]
