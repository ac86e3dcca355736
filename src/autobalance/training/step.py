"""One step of a network's weights, as fast as the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from autobalance.batches import Batch, forward
from autobalance.errors import DataError
from autobalance.ranks import ALONE, Ranks
from autobalance.training.settings import TrainingSettings


class Step:
    """The plain training step: forward, backward, and the optimizer's.

    Only here do precision and compilation count. Evaluation and hypergradients take the model as it
    is, in float32, for they need more digits and derivatives that compiled code has not; its
    parameters are those that the compiled one trains.

    Parameters
    ----------
    model, loss
        On their device.
    optimizer
        Of the model.
    settings
        Their ``precision`` and ``compile``.
    ranks
        Who takes the step together, each on its part of the batch: the gradient is that of the mean
        over all of it.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: TrainingSettings,
        ranks: Ranks = ALONE,
    ) -> None:
        self._model, self._loss, self._optimizer, self._ranks = model, loss, optimizer, ranks
        self._precision, self._compile = settings.precision, settings.compile
        self._device = next(model.parameters()).device
        self._size: int | None = None

    def __call__(self, batch: Batch, share: float = 1.0) -> Float[Tensor, ""]:
        """Take the step; the loss before it, of this rank's examples, which nothing waited for.

        Parameters
        ----------
        batch
            What this rank has of it.
        share
            Which part of all ranks' examples that is.

        Raises
        ------
        DataError
            If the model cannot be compiled.
        """
        with self._products_in_precision(), self._compilation_explained():
            self._optimizer.zero_grad(set_to_none=True)
            value = self._loss(self._logits(batch), batch.targets, batch.groups)
            (value * (self._ranks.size * share)).backward()  # the mean over ranks is taken
        self._optimizer.step()
        loss: Tensor = value.detach()
        return loss

    def _logits(self, batch: Batch) -> Float[Tensor, "B K"]:
        self._size = self._size or len(batch.targets)
        # The last batch may be smaller: it is not worth a compilation, and a graph, of its own.
        whole = len(batch.targets) == self._size
        model = self._compiled if self._compile and whole else self._shared
        if self._precision != "bfloat16":
            return forward(model, batch)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = forward(model, batch)
        return logits.float()

    @cached_property
    def _shared(self) -> nn.Module:
        """The model, whose backward pass averages over the ranks if there are several.

        Made at the first step, when weights are loaded and laid out as they will stay.
        """
        return self._model if self._ranks.size == 1 else DistributedDataParallel(self._model)

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        """The model compiled, into CUDA graphs on a GPU.

        Parameters are arguments of the compiled code, which therefore serves every model of the
        same architecture in the process: other seeds and folds, and the retraining.
        """
        mode = "reduce-overhead" if self._device.type == "cuda" else None
        compiled: Callable[..., Any] = torch.compile(self._shared, dynamic=False, mode=mode)
        return compiled

    @contextmanager
    def _products_in_precision(self) -> Iterator[None]:
        if self._precision != "tf32":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    @contextmanager
    def _compilation_explained(self) -> Iterator[None]:
        if not self._compile:
            yield
            return
        from torch._dynamo.exc import TorchDynamoException  # loads the compiler

        try:
            yield
        except TorchDynamoException as error:
            cause = getattr(error, "inner_exception", error)
            reason = str(cause).strip().partition("\n")[0]
            raise DataError(
                f"the {type(self._model).__name__} cannot be compiled here ({reason}); leave "
                "compile out"
            ) from error
