"""Runs on long-tailed images: which are wanted, how one is done, and where finished ones lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from autobalance import __version__
from autobalance.reproduce.images.data import LongTailed, read_long_tailed
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import Method
from autobalance.reproduce.images.rows import AUGMENTED, METHODS
from autobalance.reproduce.images.settings import (
    FASHION_MNIST_LT,
    Recipe,
    Source,
    deviations,
    recipe_for,
)
from autobalance.reproduce.request import PAPER, Request
from autobalance.reproduce.runs import KeptRuns, Row, Unit, finish, units_of
from autobalance.reproduce.sealed import Codes, Sealed
from autobalance.runs.watch import Watch
from autobalance.training.origin import described
from autobalance.training.pipeline import default_device

_ALL = METHODS + AUGMENTED
BY_KEY: Mapping[str, Method] = {key: method for method in _ALL for key in method.names}
NAMES: Mapping[str, str] = {key: name for each in _ALL for key, name in each.names.items()}
KINDS: Mapping[str, str] = {key: kind for each in _ALL for key, kind in each.kinds.items()}


@dataclass(frozen=True)
class Job:
    """A data set, how networks are trained on it, and where.

    Parameters
    ----------
    dataset
        Its name on the command line.
    data_dir
        The folder of all data.
    recipe
        How.
    preset
        Which the recipe comes from.
    device
        Where to train; by default a GPU if there is one.
    """

    dataset: str
    data_dir: Path
    recipe: Recipe
    preset: str = PAPER
    device: str | None = None

    @classmethod
    def of(cls, request: Request, dataset: str, watch: Watch, with_policies: bool = False) -> Job:
        """What a request wants done on a data set; the watch hears if that takes days."""
        assert request.data_dir is not None  # a reproduction that has data sets asks for it
        recipe = recipe_for(request, dataset, with_policies)
        as_published = dataset != FASHION_MNIST_LT and request.epochs is None
        if as_published and default_device(request.device).type == "cpu":
            watch.say(
                f"{recipe.model} for {recipe.retraining.epochs} epochs takes days on a CPU: use a "
                f"GPU, fewer --epochs, a smaller --model, or --dataset {FASHION_MNIST_LT}"
            )
        return cls(dataset, request.data_dir, recipe, request.preset, request.device)

    @property
    def data(self) -> LongTailed:
        """The images, read once in a process."""
        return _read(self.recipe.source, self.data_dir)

    def lab(self, seed: int) -> ImageLab:
        """What methods work in."""
        return ImageLab(self.data.train, self.recipe, seed, self.device)

    def kept(self, out: Path, of: str = "") -> KeptRuns:
        """Where finished runs lie; ``of`` names those that are no rows of tables."""
        settings = {
            "autobalance": __version__,
            "data set": [self.dataset, self.data.title, len(self.data.train)],
            "device": default_device(self.device).type,
            "recipe": json.loads(json.dumps(asdict(self.recipe), default=described)),
        }
        return KeptRuns(out / "runs", f"{self.dataset}-{of}" if of else self.dataset, settings)

    @property
    def conditions(self) -> dict[str, str]:
        """What a reader has to know of the runs."""
        recipe = self.recipe
        searching, retraining = recipe.searching.epochs, recipe.retraining.epochs
        epochs = str(retraining) if searching == retraining else f"{retraining}, search {searching}"
        return {
            "Data": f"{self.data.title}, {len(self.data.train):,} training images of "
            f"{len(self.data.train.classes):,} classes",
            "Network": recipe.model,
            "Epochs": epochs,
            "Preset": self.preset,
            **({"Weights": "draw examples"} if recipe.retraining.weights == "draw" else {}),
        }

    @property
    def deviations(self) -> tuple[str, ...]:
        """In what they are not the paper's."""
        return (*deviations(self.recipe, self.dataset), *self.copied)

    @property
    def copied(self) -> tuple[str, ...]:
        """That the data are not the original images, if they are not."""
        title, name = self.data.title, self.recipe.source.title
        return () if title == name else (f"the data are {title} and not the original images",)


@dataclass(frozen=True)
class Rows:
    """Does one method, or several that share their trainings, and scores them."""

    job: Job

    def __call__(self, unit: Unit) -> dict[str, Row]:
        """A row for each."""
        method = BY_KEY[unit.methods[0]]
        fitted = method.fit(self.job.lab(unit.seed))
        return {
            key: {**scored(self.job.data.test, each.predict), "seconds": each.seconds, **each.facts}
            for key, each in fitted.items()
        }


def scored(test: Sealed, predict: Callable[[Any], Codes]) -> Row:
    """Errors in percent: balanced, and of each class."""
    errors = 100 * test.errors(test.predictions(predict))[:, 0]
    balanced = float(errors.mean())
    return {
        "balanced": balanced,
        "class_errors": errors.round(2).tolist(),
        "told": f"balanced error {balanced:.2f}%",
    }


def run_rows(
    job: Job, keys: Sequence[str], seeds: int, out: Path, jobs: int, watch: Watch
) -> list[Row]:
    """The rows of these methods for all seeds, from finished runs as far as there are any."""
    groups = dict.fromkeys(tuple(BY_KEY[key].names) for key in keys)
    rows = finish(units_of(list(groups), seeds), job.kept(out), Rows(job), jobs, watch)
    return [row for row in rows if row["method"] in keys]


@lru_cache(maxsize=2)  # a transfer has two
def _read(source: Source, data_dir: Path) -> LongTailed:
    return read_long_tailed(source, data_dir)
