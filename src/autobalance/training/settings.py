"""How a network is trained: the optimizer and the course of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from autobalance.errors import DataError
from autobalance.training.augment import Augmentation

SCHEDULES = ("cosine", "multistep", "constant")
WEIGHTS = ("multiply", "draw")
PRECISIONS = ("float32", "tf32", "bfloat16")
_FUSED = ("cpu", "cuda")
OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
SchedulerFactory = Callable[[torch.optim.Optimizer], Any]


@dataclass(frozen=True)
class TrainingSettings:
    """Epochs, batches, optimizer and schedule; the defaults are section 3 of the paper, shorter.

    Parameters
    ----------
    epochs
        Of the search, warm-up included, and of the retraining.
    batch_size
        Examples in a training batch.
    learning_rate, momentum, nesterov, weight_decay
        Of the default optimizer, SGD. The weight decay enters the curvature.
    schedule
        ``"cosine"`` to 0, ``"multistep"``, or ``"constant"``, step by step.
    milestones, decay
        Shares of the epochs after which a multistep schedule multiplies the rate by ``decay``; by
        default those of epochs 220 and 260 of 300.
    warm_up_epochs
        Epochs in which the rate rises linearly from 0.
    optimizer
        Makes another optimizer of the model's parameters.
    scheduler
        Makes another schedule of the optimizer, stepped after each epoch, as torch's are; it has
        to follow from the epoch alone.
    augment
        Changes training images at random, batch by batch, such as
        :class:`~autobalance.training.augment.CropAndFlip`; held-out ones never.
    weights
        Whether the weights of a loss ``"multiply"`` it, or ``"draw"`` examples that much more
        often; see :class:`~autobalance.training.drawing.BatchesByWeight`.
    workers
        Processes that read a ``Dataset`` ahead; 0 reads it in the training's own. It decides
        nothing else, unless the ``Dataset`` draws random numbers.
    precision
        Of the network in training steps; evaluation and hypergradients are in float32 whatever it
        is, and so are the loss and the weights. ``"float32"`` leaves PyTorch as it is set: it takes
        TF32 for convolutions on a GPU unless ``torch.backends.cudnn.allow_tf32`` is off.
        ``"tf32"`` takes it for products of matrices, too, which matters to transformers.
        ``"bfloat16"`` is autocast: for recent GPUs, and for CPUs with AMX; on others it is slow.
    compile
        Whether training steps run the network through ``torch.compile``, on a GPU in CUDA graphs.
        It takes a compiler and, once for each architecture and batch size in a process, up to a
        minute; it pays where small kernels follow each other for many epochs.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    milestones: tuple[float, ...] = (220 / 300, 260 / 300)
    decay: float = 0.1
    warm_up_epochs: float = 0.0
    optimizer: OptimizerFactory | None = None
    scheduler: SchedulerFactory | None = None
    augment: Augmentation | None = None
    weights: str = "multiply"
    workers: int = 0
    precision: str = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise DataError(f"{name} is {value}; use a whole number of at least 1")
        if not isinstance(self.workers, Integral) or self.workers < 0:
            raise DataError(f"workers is {self.workers}; use a whole number of processes, or 0")
        for name in ("learning_rate", "momentum", "weight_decay", "decay", "warm_up_epochs"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise DataError(f"{name} is {value}; it must be finite and not negative")
        if self.schedule not in SCHEDULES:
            raise DataError(f"schedule is {self.schedule!r}; use one of {', '.join(SCHEDULES)}")
        if self.weights not in WEIGHTS:
            raise DataError(f"weights is {self.weights!r}; use {' or '.join(WEIGHTS)}")
        if self.precision not in PRECISIONS:
            raise DataError(f"precision is {self.precision!r}; use one of {', '.join(PRECISIONS)}")
        if self.nesterov and not self.momentum:
            raise DataError("nesterov needs a momentum above 0, such as 0.9")

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a model's trainable parameters.

        Raises
        ------
        DataError
            If it has none.
        """
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise DataError(
                f"no parameter of the {type(model).__name__} requires a gradient, so there is "
                "nothing to train; unfreeze some"
            )
        if self.optimizer is not None:
            return self.optimizer(parameters)
        return torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=_can_be_fused(model, parameters),
        )

    def make_schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        """Our schedule over ``steps`` optimizer steps, to be stepped after each."""
        warm_up = steps * self.warm_up_epochs / self.epochs
        return LambdaLR(optimizer, lambda step: self._share(step, steps, warm_up))

    def _share(self, step: int, steps: int, warm_up: float) -> float:
        """Share of the learning rate at a step."""
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        if self.schedule == "cosine":
            return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(steps - warm_up, 1))
        if self.schedule == "multistep":
            return self.decay ** sum(step >= share * steps for share in self.milestones)
        return 1.0


def _can_be_fused(model: nn.Module, parameters: list[nn.Parameter]) -> bool:
    """Whether all parameters are stepped by one kernel that makes one pass through memory."""
    sparse = any(getattr(module, "sparse", False) for module in model.modules())  # gradients
    return not sparse and all(
        each.device.type in _FUSED and each.is_floating_point() for each in parameters
    )
