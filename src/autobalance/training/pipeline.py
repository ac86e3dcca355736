"""Algorithm 1 from data to a retrained network: split, warm-up, search, retraining, evaluation."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.batches import Batch
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError
from autobalance.evaluation import Evaluation, cell_errors
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.factory import check_factory
from autobalance.objectives import BoundObjective, Objective
from autobalance.ranks import current_ranks
from autobalance.search.alpha import OptimizerFactory
from autobalance.search.alpha_step import AlphaStep
from autobalance.search.folds import make_folds
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import network_parameters
from autobalance.search.settings import AUTO
from autobalance.search.weight_decay import WeightDecay
from autobalance.starts import default_starts
from autobalance.tracking.course import Course
from autobalance.tracking.tracker import Tracker
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.drawing import training_batches
from autobalance.training.evaluate import coded_alike, evaluate
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch, Training, predict_logits
from autobalance.training.origin import described
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import StratifiedBatches
from autobalance.training.settings import TrainingSettings

ModelFactory = Callable[[], nn.Module]
Progress = Callable[[str, Epoch], None]
"""Called with the phase, ``"search"`` or ``"retraining"``, and each epoch."""

SEARCH, RETRAINING = "search", "retraining"


@dataclass(frozen=True, eq=False)
class Retrained:
    """What :func:`search_and_retrain` returns.

    Parameters
    ----------
    model
        Retrained on all examples, in evaluation mode.
    design
        The loss it was retrained with.
    moves
        The course of the loss in the search.
    epochs
        Of the search and of the retraining.
    held_out_rows, held_out_logits
        Positions of the held-out examples, and their logits at the end of the search.
    evaluation
        On the test data, if there were any.
    seconds
        Of the search and of the retraining, in this process.
    """

    model: nn.Module
    design: LossDesign
    moves: tuple[AlphaStep, ...]
    epochs: dict[str, tuple[Epoch, ...]]
    held_out_rows: Integer[ndarray, "M"]
    held_out_logits: Float[ndarray, "M K"]
    evaluation: Evaluation | None
    seconds: dict[str, float]


def search_and_retrain(
    model_factory: ModelFactory,
    train_data: Any,
    objective: str | Objective,
    *,
    test_data: Any = None,
    start: str | LossDesign = "auto",
    parameters: str | Sequence[str] = AUTO,
    dictionary: str | dict[str, str] = "auto",
    parametrisation: str = "exp",
    training: TrainingSettings | None = None,
    plan: SearchPlan | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
    trackers: Sequence[Tracker] = (),
) -> Retrained:
    """Design the loss while a network trains, then train a fresh one with it on everything.

    Within :func:`~autobalance.ranks.across_ranks`, under ``torchrun``, several processes train one
    network, each on its share of every batch, and all return the same.

    Parameters
    ----------
    model_factory
        Makes a model with fresh weights, called twice.
    train_data
        (inputs, targets), (inputs, targets, groups) or a ``Dataset``; see
        :meth:`~autobalance.training.examples.Examples.of`.
    objective
        What should be small on new data, such as ``"balanced"``.
    test_data
        Like ``train_data``; it decides nothing.
    start
        A preset, a design for the same classes and groups, or ``"auto"``: the closed form that is
        consistent with the objective (Algorithm 1, line 1).
    parameters, dictionary, parametrisation
        What is searched; see :class:`~autobalance.space.SearchSpace`, and
        :func:`~autobalance.search.online_settings.network_parameters` for ``"auto"``.
    training
        Epochs, optimizer and schedule, of both phases.
    plan
        Held-out share, warm-up and moves.
    device
        Where to train; by default a GPU if there is one.
    seed
        Of the split, the weights, the batches and dropout.
    checkpoints
        A folder for one checkpoint an epoch. Where it holds some, the run goes on from there; give
        a new or empty folder to start over. The course of the run lies beside them as CSV:
        ``moves.csv`` of the loss, and the epochs in ``search.csv`` and ``retraining.csv``.
    progress
        Called after every epoch, on the first rank.
    trackers
        Hear of the run, and are closed at its end; see :mod:`autobalance.tracking`.

    Raises
    ------
    DataError, ObjectiveError, DesignError
        If data, objective and start do not go together.
    SearchError
        If training or search diverges; the message says what to change.
    ArtifactError
        If checkpoints cannot be written or read.
    """
    check_factory(model_factory, "a function without arguments")
    training = TrainingSettings() if training is None else training
    plan = SearchPlan() if plan is None else plan
    where = default_device(device)
    folder = None if checkpoints is None else Path(checkpoints)
    parsed = Objective.parse(objective) if isinstance(objective, str) else objective
    started = time.perf_counter()
    with Course(trackers, folder) as course, own_randomness(where):
        examples = Examples.of(train_data).to(where)
        tested = None if test_data is None else coded_alike(test_data, examples)
        bound = parsed.bind(examples.counts)
        train, held_out = split(examples, plan.held_out, seed)
        warn_of_cells_not_held_out(bound, examples, held_out, plan)
        first = starting_design(start, parsed, examples)

        def fresh(index: Tensor, design: LossDesign) -> Training:
            return new_training(model_factory, examples, index, design, training, where, seed)

        searching = fresh(train, first)
        search = add_search(
            searching,
            examples,
            held_out,
            parsed,
            plan,
            seed,
            parameters,
            dictionary,
            parametrisation,
        )
        course.parameters(
            {
                "objective": str(parsed),
                "start": first.metadata.get("preset", "given"),
                **search.space.describe(),
                "seed": seed,
                **{f"training {name}": described(each) for name, each in vars(training).items()},
                **{f"plan {name}": described(each) for name, each in vars(plan).items()},
            }
        )
        _run(searching, SEARCH, folder, progress, course)
        logits = predict_logits(searching.model, examples, held_out, workers=training.workers)
        design = search.design()
        searched = time.perf_counter()
        retraining = fresh(torch.arange(len(examples)), design)
        if search.space.search_ridge:
            WeightDecay(retraining.optimizer).set(float(design.ridge or 0.0))
        _run(retraining, RETRAINING, folder, progress, course)
        ended = time.perf_counter()
        model = retraining.model.eval()
        evaluation = (
            None
            if tested is None
            else evaluate(model, tested, examples, parsed, where, training.workers)
        )
        design = design.with_metadata(**parsed.facts(), start=first.metadata.get("preset", "given"))
        if evaluation is not None:
            course.measured(evaluation.row(examples.counts))
        course.design(design)
    return Retrained(
        model,
        design,
        tuple(search.history),
        {SEARCH: tuple(searching.history), RETRAINING: tuple(retraining.history)},
        held_out.numpy(),
        logits.double().numpy(),
        evaluation,
        {SEARCH: searched - started, RETRAINING: ended - searched},
    )


def split(examples: Examples, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions that train and that are held out, stratified by cell."""
    y = np.asarray(examples.targets.numpy())
    counts = examples.counts
    folds = make_folds(
        float(share), y[:, None], y, y, examples.cells, counts, np.ones(len(y)), seed
    )
    return torch.from_numpy(np.flatnonzero(folds.train[0])), torch.from_numpy(folds.row)


def warn_of_cells_not_held_out(
    objective: BoundObjective, examples: Examples, held_out: Tensor, plan: SearchPlan
) -> None:
    """Say of which classes, or classes in groups, the search will see nothing."""
    counts = examples.counts
    held = np.bincount(examples.cells[held_out.numpy()], minlength=counts.values.size)
    seen = (held > 0).reshape(counts.values.shape)
    lacking = np.argwhere(objective.objective.lacking(seen, objective.positive) & objective.present)
    if len(lacking):
        k, j = (int(code) for code in lacking[0])
        warnings.warn(
            f"no example is held out of {len(lacking)} of the cells that the objective needs, such "
            f"as {counts.cell_name(k, j)}: the search leaves them out; hold out more than "
            f"{plan.held_out:g} (SearchPlan(held_out=...)) to have them in",
            stacklevel=3,
        )


def starting_design(
    start: str | LossDesign, objective: Objective, examples: Examples
) -> LossDesign:
    """The design that a search begins with."""
    if isinstance(start, LossDesign):
        if (start.counts.classes, start.counts.groups) != (examples.classes, examples.group_labels):
            raise DataError(
                "the starting design was made for other classes or groups than those of the data; "
                "use one made for the same labels, a preset, or 'auto'"
            )
        return replace(start, counts=examples.counts)
    name = default_starts(objective)[0] if start == "auto" else start
    return preset(name, examples.counts, objective.costs)


def new_training(
    model_factory: ModelFactory,
    examples: Examples,
    index: Tensor,
    design: LossDesign,
    settings: TrainingSettings,
    device: torch.device,
    seed: int,
) -> Training:
    """A network with fresh weights, about to be trained on some of the examples.

    It seeds every global random generator: dropout draws from one, and a ``Dataset`` may from any.
    All ranks begin with the same weights, and draw differently from there.
    """
    _seed_everything(seed)
    model = model_factory().to(device)
    if not current_ranks().first:
        _seed_everything(current_ranks().own_seed(seed))
    return Training(
        model,
        ParametricCrossEntropy.from_design(design).to(device),
        training_batches(examples, index, settings, seed, device),
        settings,
        augmentation=augmentation_of(design, device),
        seed=seed,
    )


def _seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


def augmentation_of(design: LossDesign, device: torch.device) -> PolicyAugmentation | None:
    """What the design's policy does to batches on a device, if it has one."""
    return None if design.policy is None else PolicyAugmentation(design.policy).to(device)


def cosine_over(optimizer: torch.optim.Optimizer, moves: int) -> CosineAnnealingLR:
    """A rate that falls with a cosine and is not yet 0 at the last move."""
    return CosineAnnealingLR(optimizer, moves + 1)


def add_search(
    training: Training,
    examples: Examples,
    held_out: Tensor,
    objective: Objective,
    plan: SearchPlan,
    seed: int,
    parameters: str | Sequence[str] = AUTO,
    dictionary: str | dict[str, str] = "auto",
    parametrisation: str = "exp",
    optimizer: OptimizerFactory | None = None,
    schedule: Callable[[torch.optim.Optimizer, int], Any] = cosine_over,
    batches: Iterable[Batch] | None = None,
) -> OnlineSearch:
    """Put a search beside a training, which also reports its held-out errors.

    Parameters are those of :func:`search_and_retrain` and of
    :class:`~autobalance.search.online.OnlineSearch`. ``schedule`` makes one of ``optimizer`` for
    the number of moves, and ``batches`` are held-out ones to take in place of stratified ones.

    Raises
    ------
    DesignError
        If it trains with a loss that has no values to search.
    """
    loss = training.loss
    if not isinstance(loss, ParametricCrossEntropy):
        raise DesignError(
            f"the training has a {type(loss).__name__}, which has no values to search; give it a "
            "ParametricCrossEntropy"
        )
    steps = training.settings.epochs * len(training.batches)
    names = network_parameters(parameters, objective)
    settings = plan.for_steps(steps, names)
    moves = (steps - settings.warm_up) // settings.every
    if moves == 0 and settings.warm_up < steps:
        warnings.warn(
            f"the training takes {steps} steps, too few for the loss to move after a warm-up of "
            f"{settings.warm_up}: train for more epochs or lower SearchPlan(warm_up=...)",
            stacklevel=3,
        )
    training.search = OnlineSearch(
        training.model,
        loss,
        objective,
        StratifiedBatches(examples, held_out, plan.batch_size, seed)
        if batches is None
        else batches,
        parameters=names,
        dictionary=dictionary,
        parametrisation=parametrisation,
        held_out_share=len(held_out) / len(examples),
        settings=settings,
        optimizer=optimizer,
        schedule=lambda optimizer: schedule(optimizer, moves),
        augmentation=training.augmentation,
        trained_by=training.optimizer,
    )

    costs = "" if objective.costs is None else f" {objective.costs}"
    course = {name: described(value) for name, value in vars(settings).items()}
    training.origin["search"] = (
        f"{objective} {objective.positive_class} {training.search.space.parameters} {dictionary} "
        f"{parametrisation} {plan.batch_size} {course}{costs}"
    )
    shape = examples.counts.values.shape
    y = examples.targets[held_out].numpy()
    g = None if examples.groups is None else examples.groups[held_out].numpy()

    def errors() -> list[list[float]]:
        workers = training.settings.workers
        logits = predict_logits(training.model, examples, held_out, workers=workers)
        predicted = logits.argmax(1).numpy()
        of_cells: list[list[float]] = cell_errors(y, predicted, g, *shape).tolist()
        return of_cells

    training.monitor = errors
    return training.search


def default_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or a GPU if there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """The caller's random streams, on the CPU and the device, are as they were at the end."""
    streams = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            np.random.set_state(streams[0])  # noqa: NPY002
            random.setstate(streams[1])


def _run(
    training: Training, phase: str, folder: Path | None, progress: Progress | None, course: Course
) -> None:
    def on_epoch(epoch: Epoch) -> None:
        course.training(phase, training)
        if progress is not None:
            progress(phase, epoch)

    training.run(None if folder is None else Checkpoints(folder / phase), on_epoch)
    course.training(phase, training)  # what an interruption kept it from telling
