"""Training networks on one data set with one seed: what the rows of table 1 have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from autobalance.data.heldout import held_out_split
from autobalance.design import LossDesign
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.factory import model_factory
from autobalance.models.normalised import with_normalised_head
from autobalance.models.pixels import Pixels
from autobalance.objectives import Objective
from autobalance.reproduce.images.network import Network
from autobalance.reproduce.images.settings import Course, Recipe
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.online import OnlineSearch
from autobalance.training.drawing import training_batches
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch, Training, predict_logits
from autobalance.training.pipeline import (
    add_search,
    augmentation_of,
    cosine_over,
    default_device,
    own_randomness,
)
from autobalance.training.resampling import ResampledBatches
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

OBJECTIVE = "balanced"
Observe = Callable[[Epoch, nn.Module], None]
"""Looks at an epoch and at the network at its end."""
_SHARPNESS = 20.0  # of smooth maxima, which a balanced error has none of
_ENOUGH_TO_SCALE = 4096


class ImageLab:
    """Training examples, a recipe and a seed; there is nothing here to score on.

    The seed decides what is held out, the first weights and the order of the batches, alike for
    every method.

    Parameters
    ----------
    train
        The training part.
    recipe
        How networks are trained.
    seed
        Of everything that is drawn.
    device
        Where to train; by default a GPU if there is one.
    """

    def __init__(
        self, train: Examples, recipe: Recipe, seed: int, device: str | None = None
    ) -> None:
        self.recipe, self.seed = recipe, seed
        self.device = default_device(device)
        self.examples = train.to(self.device)
        self.counts = self.examples.counts
        self.objective = Objective.parse(OBJECTIVE)
        self._shape = tuple(self._some(1).shape[1:])
        known = train.inputs if isinstance(train.inputs, Tensor) else self._some(_ENOUGH_TO_SCALE)
        self._scaling = Pixels(self._shape[0]).fit(known).state_dict()

    @property
    def everything(self) -> Int[Tensor, "N"]:
        """Positions of all training examples."""
        return torch.arange(len(self.examples))

    @cached_property
    def parts(self) -> tuple[Int[Tensor, "M"], Int[Tensor, "H"]]:
        """The examples that tuning and searching train on, and those held out from it."""
        y, labels = self.examples.targets.numpy(), self.examples.classes
        split = held_out_split(y, labels, self.recipe.course.plan.held_out, self.seed)
        return torch.from_numpy(split.train), torch.from_numpy(split.held_out)

    @property
    def steps_per_epoch(self) -> int:
        """Of a search."""
        size = self.recipe.searching.batch_size
        return len(ShuffledBatches(self.examples, self.parts[0], size, self.seed))

    def preset(self, name: str, **arguments: float) -> LossDesign:
        """A closed-form loss for all training examples."""
        return preset(name, self.counts, None, **arguments)

    @property
    def channels(self) -> int:
        """Of the images."""
        return self._shape[0]

    def training(
        self,
        loss: LossDesign | nn.Module,
        index: Int[Tensor, "M"],
        settings: TrainingSettings,
        *,
        cosines: bool = False,
        exponent: float | None = None,
    ) -> Training:
        """A fresh network, about to be trained.

        Parameters
        ----------
        loss
            What it is trained with.
        index
            On which examples.
        settings
            How.
        cosines
            Whether logits are cosines, as LDAM wants them.
        exponent
            Of classes' sizes, where classes are not drawn as they are.
        """
        torch.manual_seed(self.seed)
        augmentation = None
        if isinstance(loss, LossDesign):
            augmentation = augmentation_of(loss, self.device)
            loss = ParametricCrossEntropy.from_design(loss)
        batches = self._batches(index, settings, exponent)
        model = self._model(cosines).to(self.device)
        return Training(
            model,
            loss.to(self.device),
            batches,
            settings,
            augmentation=augmentation,
            seed=self.seed,
        )

    def train(
        self,
        loss: LossDesign | nn.Module,
        index: Int[Tensor, "M"] | None = None,
        *,
        cosines: bool = False,
        exponent: float | None = None,
    ) -> nn.Module:
        """The network trained with a loss, on everything by default."""
        with own_randomness(self.device):
            index = self.everything if index is None else index
            settings = self.recipe.retraining
            training = self.training(loss, index, settings, cosines=cosines, exponent=exponent)
            training.run()
        return training.model

    def search(
        self,
        start: LossDesign,
        parameters: tuple[str, ...],
        dictionary: str | Mapping[str, str],
        course: Course,
        parts: tuple[Int[Tensor, "M"], Int[Tensor, "H"]] | None = None,
        held_out_from: Examples | None = None,
        observe: Observe | None = None,
    ) -> OnlineSearch:
        """A search at its end, beside the training of a network on a part of the examples.

        Parameters
        ----------
        start, parameters, dictionary, course
            What is searched, from where, how finely and how.
        parts
            Examples to train on and to hold out.
        held_out_from
            What the second part is of; by default the training examples.
        observe
            Called after every epoch; it decides nothing.
        """
        train, held_out = self.parts if parts is None else parts
        settings = self.recipe.searching
        source = self.examples if held_out_from is None else held_out_from
        upper = course.upper
        with own_randomness(self.device):
            training = self.training(start, train, settings)
            plan = course.plan_over(settings.epochs * len(training.batches), parameters)
            search = add_search(
                training,
                source,
                held_out,
                self.objective,
                plan,
                self.seed,
                parameters,
                dictionary if isinstance(dictionary, str) else dict(dictionary),
                course.parametrisation,
                None if upper is None else upper.optimizer,
                cosine_over if upper is None else upper.schedule,
                ShuffledBatches(source, held_out, plan.batch_size, self.seed)
                if course.uniform
                else None,
            )
            model = training.model
            training.run(on_epoch=None if observe is None else partial(_told, observe, model))
        return search

    def network(self, model: nn.Module, bias: Float[ndarray, "K"] | None = None) -> Network:
        """What a trained network predicts by, with a bias on its logits if there is one."""
        return Network(model, bias, self.recipe.retraining.workers)

    def held_out_logits(self, model: nn.Module) -> Float[Tensor, "H K"]:
        """Of the held-out examples."""
        workers = self.recipe.retraining.workers
        return predict_logits(model, self.examples, self.parts[1], workers=workers).double()

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

    def _batches(
        self, index: Int[Tensor, "M"], settings: TrainingSettings, exponent: float | None
    ) -> ShuffledBatches:
        if exponent is None:
            return training_batches(self.examples, index, settings, self.seed, self.device)
        return ResampledBatches(
            self.examples,
            index,
            settings.batch_size,
            self.seed,
            settings.augment,
            settings.workers,
            self.device,
            exponent=exponent,
        )

    def _model(self, cosines: bool) -> nn.Sequential:
        network = model_factory(self.recipe.model)(self._network_shape, self.counts.n_classes)
        _, height, width = self._network_shape
        front = Pixels(self._shape[0], (height, width))
        front.load_state_dict(self._scaling)
        return nn.Sequential(front, with_normalised_head(network) if cosines else network)

    @cached_property
    def _network_shape(self) -> tuple[int, ...]:
        """Of an image as the network sees it: augmentation may cut it out of a larger one."""
        augment = self.recipe.retraining.augment
        if augment is None:
            return self._shape
        return tuple(augment(self._some(1), torch.Generator(self.device)).shape[1:])

    def _some(self, number: int) -> Tensor:
        """A few training images, evenly spaced, on the device."""
        places = np.linspace(0, len(self.examples) - 1, min(number, len(self.examples)))
        inputs = self.examples.batch(torch.from_numpy(places.astype(np.int64))).inputs
        assert isinstance(inputs, Tensor)
        return inputs.to(self.device)


def _told(observe: Observe, model: nn.Module, epoch: Epoch) -> None:
    observe(epoch, model)
