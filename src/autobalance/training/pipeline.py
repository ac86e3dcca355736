"""Algorithm 1 from data to a retrained network: split, warm-up, search, retraining, evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from autobalance.design import LossDesign
from autobalance.errors import DataError
from autobalance.evaluation import Evaluation, Evaluator, cell_errors, measurable_objectives
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.objectives import Objective
from autobalance.search.folds import make_folds
from autobalance.search.online import DEFAULT_PARAMETERS, AlphaStep, OnlineSearch, OnlineSettings
from autobalance.starts import default_starts
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch, Training, predict_logits
from autobalance.training.sampling import ShuffledBatches, StratifiedBatches
from autobalance.training.settings import TrainingSettings

ModelFactory = Callable[[], nn.Module]
Progress = Callable[[str, Epoch], None]
"""Called with the phase, ``"search"`` or ``"retraining"``, and each epoch."""

SEARCH, RETRAINING = "search", "retraining"


@dataclass(frozen=True)
class SearchPlan:
    """How much of the data and the time a search takes.

    Parameters
    ----------
    held_out
        Share of the examples that is held out, stratified by cell; the paper's 0.2.
    warm_up
        Share of the search's epochs before the loss first moves; the paper's 0.4 (120 of 300).
    moves
        How often the loss moves in the rest, evenly spaced. 80 cost about half a training.
    batch_size
        Held-out examples in a move's batch, stratified by cell.
    settings
        Everything else; its ``warm_up`` and ``every`` follow from the above.
    """

    held_out: float = 0.2
    warm_up: float = 0.4
    moves: int = 80
    batch_size: int = 512
    settings: OnlineSettings = field(default_factory=OnlineSettings)

    def for_steps(self, steps: int) -> OnlineSettings:
        """The settings of a search over so many optimizer steps."""
        warm_up = round(self.warm_up * steps)
        return replace(
            self.settings, warm_up=warm_up, every=max(1, (steps - warm_up) // self.moves)
        )


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
        Of the search and of the retraining.
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
    parameters: Sequence[str] = DEFAULT_PARAMETERS,
    dictionary: str | dict[str, str] = "auto",
    parametrisation: str = "exp",
    training: TrainingSettings | None = None,
    plan: SearchPlan | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
) -> Retrained:
    """Design the loss while a network trains, then train a fresh one with it on everything.

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
        Like ``train_data``, read once, at the end.
    start
        A preset, a design for the same classes and groups, or ``"auto"``: the closed form that is
        consistent with the objective (Algorithm 1, line 1).
    parameters, dictionary, parametrisation
        What is searched; see :class:`~autobalance.space.SearchSpace`.
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
        a new or empty folder to start over.
    progress
        Called after every epoch.

    Raises
    ------
    DataError, ObjectiveError, DesignError
        If data, objective and start do not go together.
    SearchError
        If training or search diverges; the message says what to change.
    ArtifactError
        If checkpoints cannot be written or read.
    """
    training = TrainingSettings() if training is None else training
    plan = SearchPlan() if plan is None else plan
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    examples = Examples.of(train_data).to(where)
    parsed = Objective.parse(objective) if isinstance(objective, str) else objective
    parsed.bind(examples.counts)
    train, held_out = split(examples, plan.held_out, seed)
    first = starting_design(start, parsed, examples)
    folder = None if checkpoints is None else Path(checkpoints)

    def fresh(index: Tensor, design: LossDesign) -> Training:
        return new_training(model_factory, examples, index, design, training, where, seed)

    started = time.perf_counter()
    with own_randomness(where):
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
        searching.run(_in(folder, SEARCH), _reporting(progress, SEARCH))
        logits = predict_logits(searching.model, examples, held_out)
        design = search.design()
        searched = time.perf_counter()
        retraining = fresh(torch.arange(len(examples)), design)
        retraining.run(_in(folder, RETRAINING), _reporting(progress, RETRAINING))
    model = retraining.model.eval()
    ended = time.perf_counter()
    return Retrained(
        model,
        design.with_metadata(objective=str(parsed), start=first.metadata.get("preset", "given")),
        tuple(search.history),
        {SEARCH: tuple(searching.history), RETRAINING: tuple(retraining.history)},
        held_out.numpy(),
        logits.double().numpy(),
        None if test_data is None else evaluate(model, test_data, examples, parsed, where),
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
    return preset(name, examples.counts)


def new_training(
    model_factory: ModelFactory,
    examples: Examples,
    index: Tensor,
    design: LossDesign,
    settings: TrainingSettings,
    device: torch.device,
    seed: int,
) -> Training:
    """A network with fresh weights, about to be trained on some of the examples."""
    torch.manual_seed(seed)
    return Training(
        model_factory().to(device),
        ParametricCrossEntropy.from_design(design).to(device),
        ShuffledBatches(examples, index, settings.batch_size, seed),
        settings,
    )


def add_search(
    training: Training,
    examples: Examples,
    held_out: Tensor,
    objective: Objective,
    plan: SearchPlan,
    seed: int,
    parameters: Sequence[str] = DEFAULT_PARAMETERS,
    dictionary: str | dict[str, str] = "auto",
    parametrisation: str = "exp",
) -> OnlineSearch:
    """Put a search beside a training, which also reports its held-out errors."""
    training.search = OnlineSearch(
        training.model,
        training.loss,
        objective,
        StratifiedBatches(examples, held_out, plan.batch_size, seed),
        parameters=parameters,
        dictionary=dictionary,
        parametrisation=parametrisation,
        settings=plan.for_steps(training.settings.epochs * len(training.batches)),
        schedule=lambda optimizer: CosineAnnealingLR(optimizer, plan.moves + 1),
        trained_by=training.optimizer,
    )

    def errors() -> list[list[float]]:
        predicted = predict_logits(training.model, examples, held_out).argmax(1).numpy()
        part = examples.batch(held_out)
        groups = None if part.groups is None else part.groups.numpy()
        shape = examples.counts.values.shape
        of_cells: list[list[float]] = cell_errors(
            part.targets.numpy(), predicted, groups, *shape
        ).tolist()
        return of_cells

    training.monitor = errors
    return training.search


def evaluate(
    model: nn.Module, data: Any, trained_on: Examples, objective: Objective, device: torch.device
) -> Evaluation:
    """Errors on other examples, whose labels must be among those that were trained on."""
    examples = Examples.of(data).to(device)
    counts = trained_on.counts
    y = _codes(examples.targets, examples.classes, trained_on.classes, "class")
    g = None
    if trained_on.group_labels is not None:
        if examples.groups is None or examples.group_labels is None:
            raise DataError("the test data has no groups but the training data has; give them")
        g = _codes(examples.groups, examples.group_labels, trained_on.group_labels, "group")
    evaluator = Evaluator(
        y,
        g,
        counts,
        objective.bind(counts),
        measurable_objectives(counts, objective.positive_class),
    )
    logits = predict_logits(model, examples, torch.arange(len(examples)))
    return evaluator.evaluate(logits.argmax(1).numpy())


def _codes(
    codes: Integer[Tensor, "N"], labels: Sequence[Any], known: Sequence[Any], kind: str
) -> Integer[ndarray, "N"]:
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise DataError(
            f"the test data has {kind} {unknown[0]!r}, which the training data has not; leave its "
            "examples out"
        )
    return np.asarray(np.array([known.index(label) for label in labels])[codes.numpy()])


def own_randomness(device: torch.device) -> AbstractContextManager[None]:
    """The caller's random stream is as it was, at the end."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _in(folder: Path | None, phase: str) -> Checkpoints | None:
    return None if folder is None else Checkpoints(folder / phase)


def _reporting(progress: Progress | None, phase: str) -> Callable[[Epoch], None] | None:
    return None if progress is None else lambda epoch: progress(phase, epoch)
