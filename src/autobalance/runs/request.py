"""What a user asks of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autobalance.augmentation.operations import kornia_modules
from autobalance.augmentation.policy import policy_for_images
from autobalance.contest.procedure import BALL, Procedure
from autobalance.costs import Costs
from autobalance.data.wording import amount
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError, ObjectiveError
from autobalance.losses.presets import COST_PRESETS, PRESETS
from autobalance.network_settings import TABULAR_TRAINING, NetworkSettings, usual_augmentation
from autobalance.objectives import COST, Objective
from autobalance.policy_space import POLICY_PARAMETERS, searched_in
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import Reader
from autobalance.runs.rows import IMAGE, ROW
from autobalance.search.constraints import Constraint
from autobalance.search.online_settings import network_parameters
from autobalance.search.settings import AUTO
from autobalance.space import LOSS_PARAMETERS
from autobalance.training.augment import CropAndFlip
from autobalance.training.settings import TrainingSettings

PERSONAL = "personal"
"""Augmentation by a policy for each class, which follows its frequency."""


@dataclass(frozen=True)
class FitRequest:
    """What a user asks of a fit.

    Parameters
    ----------
    columns
        Which column is what, in a table or beside images.
    objective
        An expression, or ``None`` for ``balanced`` without and ``group-balanced`` with groups, and
        ``cost`` with costs.
    positive_class
        By its text; ``None`` for the last of two classes.
    costs
        What decisions cost; classes by their text.
    empty_cells
        ``"error"`` or ``"drop"``.
    drop_classes
        Classes to leave out, by their text.
    train_on
        Parts of the split that are fitted and searched on.
    cv
        Number of folds, or a share for one split.
    parameters, dictionary
        What is searched and how finely; see :class:`~autobalance.space.SearchSpace`.
    start
        Name of a preset, path of a design file, or ``"auto"``.
    constraints
        Limits on other objectives, such as ``error<=0.3``.
    verdict
        Outer folds, a share to leave untouched, ``"auto"``, or ``None``; see
        :func:`~autobalance.contest.recommend.recommend`.
    jobs
        Outer parts handled at once.
    seed
        Of the folds and the bootstrap, and of a network's weights and batches; nothing else is
        random.
    model
        A network instead of a linear head; see
        :class:`~autobalance.network_settings.NetworkSettings`.
    training
        How the network is trained.
    augment
        Whether images are cropped and flipped in training.
    augmentation
        Which cells share the values of an augmentation policy that is searched beside the loss: a
        dictionary, such as ``one`` for all, or ``personal`` for a line along the frequency, on
        images; ``ball`` for a linear head, whose examples move within balls. ``None`` for none.
    """

    columns: Columns | ImageColumns
    objective: str | None = None
    positive_class: str | None = None
    costs: Costs | None = None
    empty_cells: str = "error"
    drop_classes: tuple[str, ...] = ()
    train_on: tuple[str, ...] = ("train",)
    cv: int | float = 5
    parameters: str | tuple[str, ...] = AUTO
    dictionary: str = AUTO
    start: str = AUTO
    constraints: tuple[str, ...] = ()
    verdict: str | int | float | None = AUTO
    jobs: int = 1
    seed: int = 0
    model: str | None = None
    training: TrainingSettings = TABULAR_TRAINING
    augment: bool = True
    augmentation: str | None = None

    def __post_init__(self) -> None:
        if self.model is None and isinstance(self.columns, ImageColumns):
            raise DataError(
                "a linear head takes features, not images: name a network with --model, such as "
                "resnet20, or turn the images into features with autobalance embed and fit those"
            )
        of_images = isinstance(self.columns, ImageColumns)
        if of_images and self.augmentation == BALL:
            raise DataError(
                "a ball moves features, not images: name another augmentation, such as personal, "
                "or turn the images into features with autobalance embed and fit those"
            )
        if of_images and self.augmentation is not None:
            kornia_modules()  # that it is missing shows before any image is read

    def parse_objective(self) -> Objective:
        """The objective, not yet tied to classes.

        Raises
        ------
        ObjectiveError
            If the expression or a constraint cannot be read, or costs and objective do not go
            together.
        """
        default = "group-balanced" if self.columns.groups else "balanced"
        if self.costs is not None:
            default = COST
        for text in self.constraints:
            Constraint.parse(text)
        objective = Objective.parse(
            default if self.objective is None else self.objective, costs=self.costs
        )
        if objective.about_costs and self.costs is None:
            raise ObjectiveError(
                "objective 'cost' needs what decisions cost; name a CSV file of them with --costs"
            )
        return objective

    def procedure(
        self, objective: Objective, reader: Reader, checkpoints: Path | None
    ) -> Procedure:
        """How a loss is designed for what a reader reads.

        Parameters
        ----------
        objective
            With its positive class.
        reader
            Learnt from the training rows.
        checkpoints
            A folder for those of a network.

        Raises
        ------
        DataError, DesignError
            If a constraint, the start or the model cannot be used.
        """
        parameters, dictionary = self._searched(objective)
        return Procedure(
            objective,
            self.cv,
            self.seed,
            self.empty_cells,
            parameters,
            dictionary,
            start=self._start(),
            constraints=tuple(
                Constraint.parse(text, objective.positive_class) for text in self.constraints
            ),
            standardise=not reader.one_vector,
            network=None
            if self.model is None
            else NetworkSettings(
                self.model, self._training_on(reader.shape), checkpoints=checkpoints
            ),
            policy=BALL if self.augmentation == BALL else None,
            sub_policies=()
            if self.augmentation in (None, BALL)
            else policy_for_images(1, 1, reader.shape[0]).sub_policies,
        )

    def settings(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """What was asked, as a report lists it, for examples of a shape."""
        return {
            **self.columns.settings(),
            "trained on": "+".join(self.train_on),
            "classes left out": list(self.drop_classes),
            "empty cells": self.empty_cells,
            "held-out data": self.cv,
            "verdict": "none" if self.verdict is None else self.verdict,
            "seed": self.seed,
            **({"augmentation": "balls, searched"} if self.augmentation == BALL else {}),
            **({} if self.model is None else self._network_settings(shape)),
        }

    @property
    def noun(self) -> str:
        """What a row is: ``row`` or ``image``."""
        return IMAGE if isinstance(self.columns, ImageColumns) else ROW

    def _searched(self, objective: Objective) -> tuple[str | tuple[str, ...], str | dict[str, str]]:
        """Parameters and dictionary, with those of the augmentation."""
        if self.augmentation is None:
            return self.parameters, self.dictionary
        if self.augmentation == BALL:
            given = self.parameters if isinstance(self.parameters, tuple) else ()
            adds = bool(given) and not searched_in(given)
            return (*given, "magnitude") if adds else self.parameters, self.dictionary
        names = tuple(network_parameters(self.parameters, objective))
        if not searched_in(names):
            names += POLICY_PARAMETERS
        along = AUTO if self.augmentation == PERSONAL else self.augmentation
        return names, {
            **dict.fromkeys([name for name in LOSS_PARAMETERS if name in names], self.dictionary),
            **dict.fromkeys(searched_in(names), along),
        }

    def _start(self) -> str | LossDesign:
        """The name of a preset, or the design in a file."""
        if self.start == AUTO or self.start in (*PRESETS, *COST_PRESETS):
            return self.start
        if not self.start.endswith(".json"):
            raise DesignError(
                f"start {self.start!r} is neither a preset ({', '.join(PRESETS)}) nor a design "
                "file (.json)"
            )
        return LossDesign.load(self.start)

    def _training_on(self, shape: tuple[int, ...]) -> TrainingSettings:
        if len(shape) == 1 or not self.augment:
            return self.training
        return replace(self.training, augment=usual_augmentation(shape))

    def _network_settings(self, shape: tuple[int, ...]) -> dict[str, Any]:
        training = self._training_on(shape)
        return {
            "model": self.model,
            "epochs": training.epochs,
            "batch size": training.batch_size,
            "learning rate": training.learning_rate,
            "weight decay": training.weight_decay,
            **({} if len(shape) == 1 else _image_settings(training, self.augmentation)),
        }


def _image_settings(training: TrainingSettings, augmentation: str | None) -> dict[str, Any]:
    """How training on images differs from that on features, as a report says it."""
    augment = training.augment
    changes = []
    if isinstance(augment, CropAndFlip):
        crops = f"crops by up to {amount(augment.padding, 'pixel')}"
        changes.append(crops + " and flips" * augment.flip)
    if augmentation is not None:
        changes.append(f"a policy searched beside the loss ({augmentation})")
    return {
        "warm-up": amount(int(training.warm_up_epochs), "epoch"),
        "augmentation": ", and ".join(changes) or "none",
    }
