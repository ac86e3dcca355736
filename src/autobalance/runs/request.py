"""What a user asks of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autobalance.contest.procedure import Procedure
from autobalance.data.wording import amount
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError
from autobalance.losses.presets import PRESETS
from autobalance.network_settings import TABULAR_TRAINING, NetworkSettings, usual_augmentation
from autobalance.objectives import Objective
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import Reader
from autobalance.runs.rows import IMAGE, ROW
from autobalance.search.constraints import Constraint
from autobalance.search.settings import AUTO
from autobalance.training.augment import CropAndFlip
from autobalance.training.settings import TrainingSettings


@dataclass(frozen=True)
class FitRequest:
    """What a user asks of a fit.

    Parameters
    ----------
    columns
        Which column is what, in a table or beside images.
    objective
        An expression, or ``None`` for ``balanced`` without and ``group-balanced`` with groups.
    positive_class
        By its text; ``None`` for the last of two classes.
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
    """

    columns: Columns | ImageColumns
    objective: str | None = None
    positive_class: str | None = None
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

    def __post_init__(self) -> None:
        if self.model is None and isinstance(self.columns, ImageColumns):
            raise DataError(
                "a linear head takes features, not images: name a network with --model, such as "
                "resnet20, or turn the images into features with autobalance embed and fit those"
            )

    def parse_objective(self) -> Objective:
        """The objective, not yet tied to classes.

        Raises
        ------
        ObjectiveError
            If the expression or a constraint cannot be read.
        """
        default = "group-balanced" if self.columns.groups else "balanced"
        for text in self.constraints:
            Constraint.parse(text)
        return Objective.parse(default if self.objective is None else self.objective)

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
        return Procedure(
            objective,
            self.cv,
            self.seed,
            self.empty_cells,
            self.parameters,
            self.dictionary,
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
            **({} if self.model is None else self._network_settings(shape)),
        }

    @property
    def noun(self) -> str:
        """What a row is: ``row`` or ``image``."""
        return IMAGE if isinstance(self.columns, ImageColumns) else ROW

    def _start(self) -> str | LossDesign:
        """The name of a preset, or the design in a file."""
        if self.start == AUTO or self.start in PRESETS:
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
            **({} if len(shape) == 1 else _image_settings(training)),
        }


def _image_settings(training: TrainingSettings) -> dict[str, Any]:
    """How training on images differs from that on features, as a report says it."""
    augment = training.augment
    changes = "none"
    if isinstance(augment, CropAndFlip):
        changes = f"crops by up to {amount(augment.padding, 'pixel')}" + " and flips" * augment.flip
    return {"warm-up": amount(int(training.warm_up_epochs), "epoch"), "augmentation": changes}
