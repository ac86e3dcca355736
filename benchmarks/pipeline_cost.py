"""What a search and a retraining cost, in ordinary trainings of the same length.

    python -m benchmarks.pipeline_cost --data-dir DATA --json results/pipeline_cost.json

A small convolutional network on Fashion-MNIST-LT (imbalance 100, 14,894 examples). The ordinary
training takes all examples and logit adjustment, which is where the search starts. AutoBalance is
``search_and_retrain`` as it comes, with a checkpoint every epoch: a search on four fifths of the
examples and a retraining on all, each of as many epochs as the ordinary training. ``ratio`` is its
time relative to the mean of two ordinary trainings, one before and one after it; ``balanced`` is
the balanced test error in percent after the last epoch.

**The published rows are extrapolated**, for such a run takes hours. A step of the loss in the
published configuration (ten training batches whose graphs are all kept, five double-backward terms,
ten held-out batches) is timed several times in the second ordinary training, and stands in for the
steps of our search: one at every iteration after the warm-up, as in Algorithm 1, or as many as
ours.

Times are of one thread's processor, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy import ndarray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from autobalance.data.images.idx import read_mnist
from autobalance.models.small_cnn import SmallCNN
from autobalance.objectives import Objective
from autobalance.search import online
from autobalance.training import pipeline
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings
from benchmarks.hypergradient.cases import CLASSES, Case, arrays, long_tailed
from benchmarks.hypergradient.methods import PUBLISHED, batches, methods
from benchmarks.record import write_record

GOAL = 2.5
ORDINARY, OURS = "ordinary training", "AutoBalance"
EVERY, AS_OFTEN = "published, every iteration", "published, as often as AutoBalance"
TRAINING, MOVES = "search: training", "search: steps of the loss"
CHECK, MONITOR = "search: check of the model", "search: held-out errors"
SAVES, RETRAINING = "search: checkpoints", "retraining"
TIMED = 5
SEARCHED = ("additive", "multiplicative")
_STEP = 0.01  # of the published solver: it costs the same whatever it is
_BALANCED = Objective.parse("balanced")
_CPU = torch.device("cpu")

Data = tuple[Tensor, Tensor]


class Ordinary(NamedTuple):
    """An ordinary training: its test error and seconds, and those of published steps beside it."""

    balanced: float
    seconds: float
    published: list[float]


class Pipeline(NamedTuple):
    """A search and a retraining: the test error, the seconds of each part, and how often what was.

    ``moves`` are the steps of the loss, ``iterations`` those of the network after the warm-up.
    """

    balanced: float
    parts: dict[str, float]
    moves: int
    iterations: int

    @property
    def seconds(self) -> float:
        """Of all parts."""
        return sum(self.parts.values())

    def with_moves(self, moves: int, seconds: float) -> float:
        """Seconds if there had been so many steps of the loss that take so long each."""
        return self.seconds - self.parts[MOVES] - self.parts[CHECK] + moves * seconds


def main() -> None:
    """Run the benchmark, print its tables and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=TrainingSettings.epochs)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    train, test = read_fashion_mnist(arguments.data_dir / "fashion-mnist")
    make, settings = lambda: SmallCNN(CLASSES), TrainingSettings(arguments.epochs)
    few = (train[0][::20], train[1][::20])
    compare(make, few, few, TrainingSettings(1), 0)  # what loads on first use is on nobody's bill
    rows = []
    for seed in range(arguments.seeds):
        rows += compare(make, train, test, settings, seed)
        _show(rows)
    reached = goal(rows)
    print(
        f"goal: AutoBalance takes at most {GOAL:g} ordinary trainings: "
        f"{'met' if reached['met'] else 'missed'}, {reached['ratio']:.2f}"
    )
    if arguments.json:
        facts = {"epochs": arguments.epochs, "summary": summarise(rows), "goal": reached}
        write_record(arguments.json, "pipeline_cost", rows, **facts)


def read_fashion_mnist(folder: Path) -> tuple[Data, Data]:
    """Long-tailed training images with pixels in [0, 1] and their classes, and all test images."""
    both = read_mnist(folder)
    images, classes = arrays(both.part("train"))
    train = long_tailed(images, classes, int(np.bincount(classes).min()))
    images, classes = arrays(both.part("test"))
    test = images.astype(np.float32) / 255, classes
    return _tensors(*train), _tensors(*test)


def _tensors(images: ndarray, classes: ndarray) -> Data:
    return torch.from_numpy(images), torch.from_numpy(classes)


def compare(
    make: Callable[[], nn.Module], train: Data, test: Data, settings: TrainingSettings, seed: int
) -> list[dict[str, Any]]:
    """The rows of one seed."""
    before = train_ordinarily(make, train, test, settings, seed, timed=0)
    ours = search_and_retrain(make, train, test, settings, seed)
    after = train_ordinarily(make, train, test, settings, seed, timed=TIMED)
    unit = (before.seconds + after.seconds) / 2
    published = float(np.median(after.published))
    rows = [
        {"method": ORDINARY, "seconds": unit, "balanced": before.balanced},
        {
            "method": OURS,
            "seconds": ours.seconds,
            "balanced": ours.balanced,
            "headline": True,
            "steps_of_the_loss": ours.moves,
            "parts": ours.parts,
        },
    ]
    for method, moves in ((EVERY, ours.iterations), (AS_OFTEN, ours.moves)):
        rows.append(
            {
                "method": method,
                "seconds": ours.with_moves(moves, published),
                "balanced": None,
                "extrapolated": True,
                "steps_of_the_loss": moves,
                "seconds_of_a_step": published,
            }
        )
    return [row | {"seed": seed, "ratio": row["seconds"] / unit} for row in rows]


def train_ordinarily(
    make: Callable[[], nn.Module],
    train: Data,
    test: Data,
    settings: TrainingSettings,
    seed: int,
    timed: int,
) -> Ordinary:
    """Train with logit adjustment, timing so many published steps of the loss on the way."""
    examples = Examples.of(train)
    published = []

    def time_published(epoch: Epoch) -> None:
        if epoch.number * timed // settings.epochs > len(published):
            published.append(published_step(training.model, examples, seed + epoch.number))

    with pipeline.own_randomness(_CPU):
        started = time.process_time()
        design = pipeline.starting_design("auto", _BALANCED, examples)
        training = pipeline.new_training(
            make, examples, torch.arange(len(examples)), design, settings, _CPU, seed
        )
        training.run(on_epoch=time_published)
        seconds = time.process_time() - started - sum(published)
    return Ordinary(_balanced_error(training.model, test, examples), seconds, published)


def published_step(model: nn.Module, examples: Examples, seed: int) -> float:
    """Seconds of one hypergradient in the published configuration."""
    train, held_out = pipeline.split(examples, SearchPlan.held_out, seed)
    case = Case("", model, examples.batch(train), examples.batch(held_out))
    drawn = batches(case, seed)
    started = time.process_time()
    methods(_STEP)[PUBLISHED](case, drawn)
    return time.process_time() - started


def search_and_retrain(
    make: Callable[[], nn.Module], train: Data, test: Data, settings: TrainingSettings, seed: int
) -> Pipeline:
    """The library's own, timed part by part."""
    parts: dict[str, float] = {}
    with timed_parts() as spent, tempfile.TemporaryDirectory() as folder:
        started = time.process_time()

        def note(phase: str, epoch: Epoch) -> None:
            if (phase, epoch.number) == (pipeline.SEARCH, settings.epochs):
                parts.update(spent)
                parts[MOVES] -= parts[CHECK]
                parts[TRAINING] = time.process_time() - started - sum(parts.values())

        found = pipeline.search_and_retrain(
            make,
            train,
            _BALANCED,
            parameters=SEARCHED,
            training=settings,
            device=_CPU,
            seed=seed,
            checkpoints=folder,
            progress=note,
        )
        parts[RETRAINING] = time.process_time() - started - sum(parts.values())
    examples = Examples.of(train)
    searched_on = torch.arange(len(examples) - len(found.held_out_rows))
    batches_an_epoch = len(ShuffledBatches(examples, searched_on, settings.batch_size, seed))
    steps = settings.epochs * batches_an_epoch
    iterations = steps - SearchPlan().for_steps(steps, SEARCHED).warm_up
    error = _balanced_error(found.model, test, examples)
    return Pipeline(error, parts, len(found.moves), iterations)


@contextmanager
def timed_parts() -> Iterator[dict[str, float]]:
    """Seconds spent, from here on, in what the search adds to its training steps."""
    spent: dict[str, float] = defaultdict(float)

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.process_time()
            result = function(*arguments, **options)
            spent[part] += time.process_time() - started
            return result

        return call

    with ExitStack() as stack:
        for owner, name, part in (
            (online.OnlineSearch, "step", MOVES),
            (online, "check_model", CHECK),
            (pipeline, "predict_logits", MONITOR),
            (Checkpoints, "save", SAVES),
        ):
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name), part)))
        yield spent


def _balanced_error(model: nn.Module, test: Data, trained_on: Examples) -> float:
    """In percent."""
    evaluation = pipeline.evaluate(model.eval(), test, trained_on, _BALANCED, _CPU)
    return 100 * evaluation.objective.value


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the seeds, and the range of the ratio."""
    summary = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        ratios = [row["ratio"] for row in own]
        errors = [row["balanced"] for row in own if row["balanced"] is not None]
        summary.append(
            {
                "method": method,
                "ratio": float(np.median(ratios)),
                "lowest": min(ratios),
                "highest": max(ratios),
                "seconds": float(np.median([row["seconds"] for row in own])),
                "balanced": float(np.median(errors)) if errors else None,
            }
        )
    return summary


def shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What each part of AutoBalance takes, in ordinary trainings: medians over the seeds."""
    ours = [row for row in rows if row["method"] == OURS]
    return {
        part: float(np.median([row["ratio"] * row["parts"][part] / row["seconds"] for row in ours]))
        for part in (TRAINING, MOVES, CHECK, MONITOR, SAVES, RETRAINING)
    }


def goal(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the median ratio is low enough."""
    (ours,) = (entry for entry in summarise(rows) if entry["method"] == OURS)
    return {"at_most": GOAL, "ratio": ours["ratio"], "met": ours["ratio"] <= GOAL}


def _show(rows: list[dict[str, Any]]) -> None:
    seeds = len({row["seed"] for row in rows})
    table = Table(title=f"Time in ordinary trainings; medians over {seeds} seeds")
    table.add_column("method")
    for name in ("ratio", "range", "seconds", "balanced error in %"):
        table.add_column(name, justify="right")
    for entry in summarise(rows):
        error = entry["balanced"]
        table.add_row(
            entry["method"],
            f"{entry['ratio']:.2f}",
            f"{entry['lowest']:.2f} to {entry['highest']:.2f}",
            f"{entry['seconds']:.0f}",
            "extrapolated" if error is None else f"{error:.1f}",
        )
    parts = Table(title="AutoBalance part by part")
    parts.add_column("part")
    parts.add_column("ratio", justify="right")
    for part, share in shares(rows).items():
        parts.add_row(part, f"{share:.3f}")
    console = Console(width=100)
    console.print(table)
    console.print(parts)


if __name__ == "__main__":
    main()
