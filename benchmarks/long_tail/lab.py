"""What all methods have in common: trainings on one case with one seed, and scored images."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.settings import FASHION_MNIST_LT, RECIPES, Source
from autobalance.reproduce.images.settings import Recipe as WholeRecipe
from autobalance.reproduce.images.work import scored
from autobalance.reproduce.request import PAPER
from autobalance.reproduce.sealed import Codes, Sealed
from autobalance.training.examples import Examples
from benchmarks.long_tail.cases import Case, Data


@dataclass(frozen=True)
class Recipe:
    """How every network is trained, whatever its loss.

    The schedule and the optimizer are those of small residual networks on CIFAR: SGD with Nesterov
    momentum and weight decay 5e-4, a warm-up of one epoch and a cosine. They are also what the
    library reproduces tables with on Fashion-MNIST-LT.
    """

    model: str = "strided-cnn"
    epochs: int = 20
    device: str | None = None

    def on(self, case: Case) -> WholeRecipe:
        """With the optimizer, the schedule and the augmentation of a case."""
        known = RECIPES[PAPER][FASHION_MNIST_LT]
        training = replace(known.retraining, epochs=self.epochs, augment=case.augment)
        return replace(
            known,
            source=Source(case.data, case.title, case.largest),
            model=self.model,
            searching=training,
            retraining=training,
        )


class Lab(ImageLab):
    """A case, a recipe and a seed, with images to score on.

    ``scored`` are the test images, or those that stand for them in development.
    """

    def __init__(self, case: Case, data: Data, recipe: Recipe, seed: int) -> None:
        super().__init__(data.train, recipe.on(case), seed, recipe.device)
        self.scored = Examples.coded(data.test_images, data.test_y).to(self.device)

    def drawing(self) -> Lab:
        """The same lab with weights that draw examples and do not multiply, in searches, too."""
        other, recipe = copy(self), self.recipe
        other.recipe = replace(
            recipe,
            searching=replace(recipe.searching, weights="draw"),
            retraining=replace(recipe.retraining, weights="draw"),
        )
        return other

    def folds(self, number: int) -> list[tuple[Int[Tensor, "M"], Int[Tensor, "H"]]]:
        """Parts to train on and to hold out, for folds that together hold out everything."""
        splitter = StratifiedKFold(number, shuffle=True, random_state=self.seed)
        y = self.examples.targets.numpy()
        return [
            (torch.from_numpy(train), torch.from_numpy(held_out))
            for train, held_out in splitter.split(y, y)
        ]

    def score(self, predict: Callable[[Any], Codes]) -> dict[str, Any]:
        """Errors on the scored images in percent: balanced, and of each class."""
        y, shape = self.scored.targets.numpy(), (self.counts.n_classes, 1)
        errors = scored(Sealed(self.scored, y, None, shape), predict)
        return {name: errors[name] for name in ("balanced", "class_errors")}
