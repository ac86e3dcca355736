"""A training run, epoch by epoch, that can be stopped at any moment and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.batches import Batch, forward
from autobalance.errors import ArtifactError, DataError, SearchError
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.models.sound import is_sound
from autobalance.ranks import current_ranks
from autobalance.search.online import OnlineSearch
from autobalance.training.checkpoint import Checkpoints, rng_state, set_rng_state
from autobalance.training.checkpoint_ranks import newest_state, own_streams, streams_of_others
from autobalance.training.drawing import BatchesByWeight
from autobalance.training.examples import Examples
from autobalance.training.layout import channels_last
from autobalance.training.loading import load
from autobalance.training.origin import described, described_loss, described_optimizer
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings
from autobalance.training.step import Step

_EVALUATED_AT_ONCE = 512
_POLICY = 2**33
"""Between the seeds of orders and of a policy's draws; half of it is between those and crops."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch did.

    Parameters
    ----------
    number
        From 1.
    learning_rate
        That it began with.
    train_loss
        Mean over its examples.
    cell_errors
        Shape (K, G), held out, at its end; if they are monitored.
    """

    number: int
    learning_rate: float
    train_loss: float
    cell_errors: list[list[float]] | None


OnEpoch = Callable[[Epoch], None]


@runtime_checkable
class FollowsEpochs(Protocol):
    """A loss that changes with the epochs, as deferred re-weighting does."""

    def start_epoch(self, number: int, epochs: int) -> None:
        """Called before epoch ``number`` (from 1) of so many: it follows from these alone."""


class Training:
    """One network in training, with a search beside it or without, by one rank or several.

    Several ranks train one network: each takes its part of every batch, and the gradients are those
    of the whole. Random draws (crops, dropout, a policy's) are each rank's own, and so is what
    BatchNorm normalises by; without these, the course is that of one process.

    Parameters
    ----------
    model
        On its device, with its first weights.
    loss
        What it is trained with, on the same device, called as ``loss(logits, targets, groups)``;
        it may be one that :class:`FollowsEpochs`.
    batches
        The training batches of an epoch.
    settings
        Optimizer and schedule.
    monitor
        Called after every epoch for the held-out cell errors, if anything.
    augmentation
        What the policy of a design does to each batch, beside what the settings' ``augment`` does
        to all examples alike.
    seed
        Of its draws.

    Raises
    ------
    DataError
        If examples are to be drawn by weight and the loss has no weights, or the schedule needs a
        value to watch.

    Attributes
    ----------
    origin
        What the run starts from, as text by name. A checkpoint of another origin is refused: most
        of it, such as a learning rate, would be overwritten by what the checkpoint holds.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        batches: ShuffledBatches,
        settings: TrainingSettings,
        monitor: Callable[[], list[list[float]]] | None = None,
        augmentation: PolicyAugmentation | None = None,
        seed: int = 0,
    ) -> None:
        if isinstance(batches, BatchesByWeight) and not isinstance(loss, ParametricCrossEntropy):
            raise DataError(
                f"a {type(loss).__name__} has no weights to draw by; use a ParametricCrossEntropy, "
                "or TrainingSettings(weights='multiply')"
            )
        self.model, self.loss, self.batches, self.settings = model, loss, batches, settings
        self.augmentation = augmentation
        self.ranks = current_ranks()
        self._draws = torch.Generator().manual_seed(self.ranks.own_seed(seed + _POLICY))
        self.optimizer = settings.make_optimizer(model)
        self._step = Step(model, loss, self.optimizer, settings, self.ranks)
        self.origin = {
            "model": str([(name, *each.shape) for name, each in model.state_dict().items()]),
            "choice of training examples": batches.origin,
            "optimizer or schedule": described_optimizer(settings, self.optimizer),
            "loss": described_loss(loss),
        }
        if augmentation is not None:
            self.origin["policy"] = described(augmentation.policy.to_plain())
        self._by_epoch = settings.scheduler is not None
        if settings.scheduler is not None:
            self.schedule = settings.scheduler(self.optimizer)
            if isinstance(self.schedule, ReduceLROnPlateau):
                raise DataError(
                    "ReduceLROnPlateau needs a value to watch, and training watches none; use a "
                    "schedule that follows from the epoch, or the built-in cosine"
                )
            self.origin["optimizer or schedule"] += (
                f" {type(self.schedule).__qualname__} {described(self.schedule.state_dict())}"
            )
        else:
            steps = settings.epochs * len(batches)
            self.schedule = settings.make_schedule(self.optimizer, steps)
        self.monitor = monitor
        self.search: OnlineSearch | None = None
        self.history: list[Epoch] = []
        self.device = next(model.parameters()).device

    def run(self, checkpoints: Checkpoints | None = None, on_epoch: OnEpoch | None = None) -> None:
        """Train to the last epoch, from the newest checkpoint if there is one.

        Raises
        ------
        SearchError
            If the training loss is not finite, or the search gives up.
        DataError
            If the model is to be compiled and cannot be.
        ArtifactError
            If a checkpoint cannot be written, none can be read, or it is of another run.
        """
        if checkpoints is not None:
            self.origin["set of inputs"] = self.batches.inputs_digest
            found = newest_state(checkpoints, self.ranks)
            if found is not None:
                self._refuse_other_origin(found.get("origin", {}), checkpoints.folder)
                self.load_state_dict(found)
        with channels_last(self.model, self.optimizer):
            for number in range(len(self.history) + 1, self.settings.epochs + 1):
                self.history.append(self._epoch(number))
                if checkpoints is not None:
                    others = streams_of_others(self._streams(), self.ranks)
                    if self.ranks.first:
                        checkpoints.save(number, self.state_dict() | others)
                if on_epoch is not None and self.ranks.first:
                    on_epoch(self.history[-1])

    def _epoch(self, number: int) -> Epoch:
        self.model.train()
        if isinstance(self.loss, FollowsEpochs):
            self.loss.start_epoch(number, self.settings.epochs)
        if isinstance(self.batches, BatchesByWeight):
            assert isinstance(self.loss, ParametricCrossEntropy)  # others are refused
            self.loss.drawn = self.batches.draw_by(self.loss.weight)
        if self.search is not None:
            self.search.forget_batches()
        rate = float(self.optimizer.param_groups[0]["lr"])
        total, count = torch.zeros((), device=self.device), 0
        for item, share in zip(self.batches, self.batches.shares, strict=True):
            batch = item.to(self.device)
            value = self._step(self._augmented(batch), share)
            if not self._by_epoch:
                self.schedule.step()
            total += value * len(batch.targets)
            count += len(batch.targets)
            if self.search is not None:
                self.search.step(*batch)
        if self._by_epoch:
            self.schedule.step()
        self.ranks.agree(self.model)
        total, examples = self.ranks.total(torch.stack([total.cpu().double(), torch.tensor(count)]))
        mean = float(total / examples)
        # The weights are a step further than the loss.
        if not (math.isfinite(mean) and is_sound(self.model)):
            what = "the weights are" if math.isfinite(mean) else "the training loss is"
            raise SearchError(
                f"{what} not finite in epoch {number}; lower the learning rate ({rate:.2g} now) or "
                "lengthen its warm-up"
            )
        return Epoch(number, rate, mean, None if self.monitor is None else self.monitor())

    def _augmented(self, batch: Batch) -> Batch:
        if self.augmentation is None:
            return batch
        return batch._replace(inputs=self.augmentation(*batch, self._draws))

    def _streams(self) -> dict[str, Any]:
        """What is random, and not the same on all ranks."""
        return {
            "random": rng_state(),
            "batches": self.batches.state_dict(),
            "draws": self._draws.get_state(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs to go on bit for bit."""
        return self._streams() | {
            "origin": self.origin,
            "model": self.model.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "search": None if self.search is None else self.search.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.model.load_state_dict(state["model"])
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.search is not None:
            self.search.load_state_dict(state["search"])
        self.history = [Epoch(**entry) for entry in state["history"]]
        own = own_streams(state, self.ranks)
        if own is None:  # a rank that is new: all have one order, and its draws are its seed's
            augment = self.batches.state_dict()["augment"]
            self.batches.load_state_dict(state["batches"] | {"augment": augment})
            return
        self.batches.load_state_dict(own["batches"])
        if "draws" in own:  # which runs of earlier versions had not
            self._draws.set_state(own["draws"])
        set_rng_state(own["random"])

    def _refuse_other_origin(self, origin: dict[str, str], folder: Path) -> None:
        for name in self.origin | origin:
            if self.origin.get(name) != origin.get(name):
                raise ArtifactError(
                    f"the checkpoints in {folder} are of a run with another {name}; give a new "
                    "or empty folder, or what that run was started with"
                )


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    examples: Examples,
    index: Tensor,
    size: int = _EVALUATED_AT_ONCE,
    workers: int = 0,
) -> Float[Tensor, "M K"]:
    """Logits of examples in evaluation mode, on the CPU; the model's mode stays.

    Several ranks share the examples.
    """
    device = next(model.parameters()).device
    ranks = current_ranks()
    own = torch.tensor_split(index.to(examples.device), ranks.size)[ranks.number]
    training = model.training
    model.eval()
    try:
        batches = load(examples, torch.split(own, size), device, workers)
        parts = [forward(model, batch).float() for batch in batches]
    finally:
        model.train(training)
    return ranks.gathered(torch.cat(parts).cpu())
