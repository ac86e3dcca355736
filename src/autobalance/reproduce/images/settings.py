"""The hyperparameters of every data set of images, and where each comes from.

``paper`` is section 3 of the paper, with its slips left out:

======================  ===========================  ==============================
what                    CIFAR10-LT, CIFAR100-LT      ImageNet-LT, iNaturalist 2018
======================  ===========================  ==============================
network                 ResNet-32                    ResNet-50
its SGD, momentum 0.9   rate 0.1, decay 1e-4         rate 0.05, batches of 128
its schedule            × 0.1 at epochs 220 and 260  cosine
search, retraining      300 epochs each              150 and 90 epochs
warm-up of the search   120 epochs                   40 epochs
clusters                1; 10                        20; 40 (section 2.2)
======================  ===========================  ==============================

and for all of them SGD of α with rate 0.05, momentum 0.9, decay 1e-4 and the network's schedule;
20% held out (figure 1b); δ = σ(Δ) (eq. 2.2); and as first loss balanced cross-entropy (Algorithm 1,
line 1), or logit adjustment (last row).

Where the paper is silent: batches of 128 on CIFAR, crops and flips of images, and weight decay 5e-4
with ResNet-50, are those of the authors' code. Algorithm 1 moves α at every iteration, and their
code at every 30th, which is what both presets do; the hypergradient is ours
(``docs/networks.md``), not a Neumann series.

``authors-code`` is what https://github.com/ucr-optml/AutoBalance does differently: rate 0.01 of α,
five terms of a Neumann series with step 1.0 and double backward, on 10 training and 10 held-out
batches of 128, the latter drawn uniformly, with the network in training mode and its logits as they
come; the network's rate rises over 5 epochs; the search starts from plain cross-entropy; 200 epochs
of retraining on CIFAR, × 0.1 at 160 and 180, with the values of clusters interpolated between their
centres.

Fashion-MNIST-LT is not in the paper. It is there so that everything runs on a laptop, and its
settings are this project's (``docs/images.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from autobalance.errors import DataError
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.neumann import Neumann
from autobalance.reproduce.request import AUTHORS_CODE, PAPER, Request
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.augment import CropAndFlip, ResizedCropAndFlip
from autobalance.training.pipeline import cosine_over
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

RATIO = 100.0
"""Of the largest to the smallest class, where the tail is ours to make."""


@dataclass(frozen=True)
class Source:
    """A data set, and how it gets its tail.

    Parameters
    ----------
    data
        Its name for :func:`~autobalance.data.images.named.read_named`.
    title
        What stands beside every figure.
    largest
        Images of the largest class, from which the others fall to a hundredth by ``ceil``; ``None``
        where the data set has a long tail of its own.
    scored
        The part that is scored.
    size
        Height and width that images are resized to as they are read, where they are files.
    """

    data: str
    title: str
    largest: int | None
    scored: str = "test"
    size: int | None = None

    @property
    def lossless(self) -> bool:
        """Whether it was published without loss, so that a JPEG copy is another data set."""
        return self.size is None


@dataclass(frozen=True)
class Upper:
    """SGD of α, and how its rate falls.

    Parameters
    ----------
    rate, momentum, weight_decay
        Of SGD.
    milestones
        Shares of the moves after which the rate falls to a tenth; without any it falls with a
        cosine.
    """

    rate: float
    milestones: tuple[float, ...] = ()
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def optimizer(self, tensors: list[Tensor]) -> torch.optim.Optimizer:
        """Of the parts of α."""
        return torch.optim.SGD(
            tensors, lr=self.rate, momentum=self.momentum, weight_decay=self.weight_decay
        )

    def schedule(self, optimizer: torch.optim.Optimizer, moves: int) -> Any:
        """Stepped after each move."""
        if not self.milestones:
            return cosine_over(optimizer, moves)
        steps = [round(share * moves) for share in self.milestones]
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, steps)


@dataclass(frozen=True)
class Course:
    """How α moves beside a training; by default as the library has it.

    Parameters
    ----------
    plan
        Held-out share, warm-up and moves.
    upper
        The optimizer of α; ``None`` for the library's.
    every
        Training steps from one move to the next, in the place of the plan's number of moves.
    uniform
        Whether held-out batches are drawn uniformly instead of stratified by class.
    parametrisation
        Of δ.
    interpolated
        Whether a cluster's values are interpolated between the clusters' centres for retraining.
    """

    plan: SearchPlan = field(default_factory=SearchPlan)
    upper: Upper | None = None
    every: int | None = None
    uniform: bool = False
    parametrisation: str = "exp"
    interpolated: bool = False

    def plan_over(self, steps: int, parameters: Sequence[str]) -> SearchPlan:
        """The plan for so many training steps."""
        if self.every is None:
            return self.plan
        left = steps - self.plan.for_steps(steps, parameters).warm_up
        return replace(self.plan, moves=max(1, left // self.every))


@dataclass(frozen=True)
class Recipe:
    """How networks are trained on a data set, and losses searched beside them.

    Parameters
    ----------
    source
        The data.
    model
        A built-in name or an import path.
    searching, retraining
        Training with a search beside it, and every other training.
    course
        How α moves.
    dictionary
        Which classes share a searched value.
    start
        The loss that searches start from, unless they start from logit adjustment.
    """

    source: Source
    model: str
    searching: TrainingSettings
    retraining: TrainingSettings
    course: Course
    dictionary: str
    start: str = "weighted"


def _multistep(epochs: int, *milestones: int, warm_up: int = 0) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "schedule": "multistep",
        "milestones": tuple(epoch / epochs for epoch in milestones),
        "warm_up_epochs": float(warm_up),
    }


FASHION_MNIST_LT, CIFAR10_LT, CIFAR100_LT = "fashion-mnist-lt", "cifar10-lt", "cifar100-lt"
IMAGENET_LT, INATURALIST = "imagenet-lt", "inaturalist-2018"

_CIFAR = TrainingSettings(
    batch_size=128,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    augment=CropAndFlip(4),
    **_multistep(300, 220, 260),
)
_CIFAR10 = Recipe(
    Source("cifar10", "CIFAR10-LT", 5000),
    "resnet32",
    _CIFAR,
    _CIFAR,
    Course(
        SearchPlan(warm_up=120 / 300),
        Upper(0.05, milestones=((220 - 120) / 180, (260 - 120) / 180)),
        every=30,
        parametrisation="sigmoid",
    ),
    "class",
)
_RESNET50 = TrainingSettings(
    epochs=150,
    batch_size=128,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="cosine",
    augment=ResizedCropAndFlip(224),
    workers=8,  # images are read as they are needed
)
_IMAGENET = Recipe(
    Source("imagenet-lt", "ImageNet-LT", None, size=256),
    "resnet50",
    _RESNET50,
    replace(_RESNET50, epochs=90),
    Course(SearchPlan(warm_up=40 / 150), Upper(0.05), every=30, parametrisation="sigmoid"),
    "cluster:20",
)
_LAPTOP = TrainingSettings(
    epochs=20,
    batch_size=128,
    learning_rate=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
    warm_up_epochs=1.0,
    augment=CropAndFlip(2),
)
_LAPTOP_DRAWN = replace(_LAPTOP, epochs=60, weights="draw")

_PAPER = {
    CIFAR10_LT: _CIFAR10,
    CIFAR100_LT: replace(
        _CIFAR10, source=Source("cifar100", "CIFAR100-LT", 500), dictionary="cluster:10"
    ),
    IMAGENET_LT: _IMAGENET,
    INATURALIST: replace(
        _IMAGENET,
        source=Source("inaturalist-2018", "iNaturalist 2018", None, "validation", 256),
        dictionary="cluster:40",
    ),
    FASHION_MNIST_LT: Recipe(
        Source("fashion-mnist", "Fashion-MNIST-LT", 6000),
        "strided-cnn",
        _LAPTOP,
        _LAPTOP,
        Course(SearchPlan(warm_up=0.4, moves=40, learning_rate=0.15)),
        "class",
        start="cross-entropy",
    ),
}


def _as_their_code(paper: Recipe, retraining: TrainingSettings) -> Recipe:
    settings = OnlineSettings(
        solver=Neumann(terms=5, step=1.0),
        curvature=Hessian(),
        recent_batches=10,
        held_out_batches=10,
        mode="train",
        profile_temperature=False,
    )
    theirs = paper.course
    assert theirs.upper is not None
    return replace(
        paper,
        searching=replace(paper.searching, warm_up_epochs=5.0),
        retraining=replace(retraining, warm_up_epochs=5.0),
        course=replace(
            theirs,
            plan=replace(theirs.plan, batch_size=128, settings=settings),
            upper=replace(theirs.upper, rate=0.01),
            uniform=True,
            interpolated=True,
        ),
        start="cross-entropy",
    )


RECIPES: Mapping[str, Mapping[str, Recipe]] = MappingProxyType(
    {
        PAPER: MappingProxyType(_PAPER),
        AUTHORS_CODE: MappingProxyType(
            {
                CIFAR10_LT: _as_their_code(
                    _PAPER[CIFAR10_LT], replace(_CIFAR, **_multistep(200, 160, 180))
                ),
                CIFAR100_LT: _as_their_code(
                    _PAPER[CIFAR100_LT], replace(_CIFAR, **_multistep(200, 160, 180))
                ),
                IMAGENET_LT: _as_their_code(_PAPER[IMAGENET_LT], _PAPER[IMAGENET_LT].retraining),
                INATURALIST: _as_their_code(_PAPER[INATURALIST], _PAPER[INATURALIST].retraining),
            }
        ),
    }
)
"""For each preset and data set."""


WITH_POLICIES: Mapping[str, Recipe] = MappingProxyType(
    {
        FASHION_MNIST_LT: replace(
            _PAPER[FASHION_MNIST_LT],
            searching=_LAPTOP_DRAWN,
            retraining=_LAPTOP_DRAWN,
            course=Course(SearchPlan(warm_up=0.4, moves=80, learning_rate=0.1)),
            start="weighted",
        )
    }
)
"""Recipes of table 2 that are not those of the other tables. Policies pay where images of rare
classes come often (docs/augmentation.md): balanced cross-entropy draws them, for more epochs."""


def recipe_for(request: Request, dataset: str, with_policies: bool = False) -> Recipe:
    """The recipe of a data set, with the epochs and the model that were asked for.

    ``with_policies`` for the one of table 2.

    Raises
    ------
    DataError
        If the preset says nothing of this data set.
    """
    recipes = RECIPES[request.preset]
    if dataset not in recipes:
        raise DataError(
            f"the authors' code has nothing for {dataset}; leave --preset {request.preset} out"
        )
    recipe = recipes[dataset]
    if with_policies and request.preset == PAPER:
        recipe = WITH_POLICIES.get(dataset, recipe)
    if request.model is not None:
        recipe = replace(recipe, model=request.model)
    if request.epochs is not None:
        recipe = replace(
            recipe,
            searching=_lasting(recipe.searching, request.epochs),
            retraining=_lasting(recipe.retraining, request.epochs),
        )
    return recipe


def deviations(recipe: Recipe, dataset: str) -> tuple[str, ...]:
    """In what a recipe is not the paper's, a sentence each."""
    if dataset == FASHION_MNIST_LT:
        return ("Fashion-MNIST-LT and its settings are this project's: the paper has no such row",)
    paper = RECIPES[PAPER][dataset]
    found = []
    if recipe.model != paper.model:
        found.append(f"the network is a {recipe.model} where the paper has a {paper.model}")
    for phase in ("searching", "retraining"):
        ours, theirs = getattr(recipe, phase).epochs, getattr(paper, phase).epochs
        if ours != theirs:
            found.append(f"{phase} takes {ours} epochs where the paper's takes {theirs}")
    if recipe.course != paper.course:
        found.append("what the authors' code does differently from the paper is done as in it")
    return tuple(found)


def _lasting(training: TrainingSettings, epochs: int) -> TrainingSettings:
    """The same schedule over other epochs; a warm-up takes a tenth of them at most."""
    return replace(
        training, epochs=epochs, warm_up_epochs=min(training.warm_up_epochs, epochs / 10)
    )
