"""The hypergradients of Betty, where it is installed.

Betty (Choe et al., "Betty: an automatic differentiation library for multilevel optimization", ICLR
2023) is no dependency: ``pip install --no-deps betty-ml`` beside the project adds its rows. Its
functions want two problems of an engine; what they read of them is given here without one, so that
nothing but the hypergradient is on their bill.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from autobalance.batches import Batch
from autobalance.hypergradient import AutogradLoss


def version() -> str | None:
    """Which Betty is installed, if any."""
    try:
        return metadata.version("betty-ml")
    except metadata.PackageNotFoundError:
        return None


def slopes(
    model: nn.Module,
    loss: AutogradLoss,
    objective: Callable[[Tensor, list[Batch]], Tensor],
    training: Batch,
    held_out: Batch,
    configuration: dict[str, Any],
) -> tuple[Tensor, ...]:
    """Derivatives of the held-out objective by the parameters of the loss."""
    from betty.configs import Config
    from betty.hypergradient import get_grads

    model = copy.deepcopy(model)  # DARTS leaves the parameters moved
    lower = SimpleNamespace(
        config=Config(**configuration),
        paths=[],
        cur_batch=training,
        parameters=model.parameters,
        trainable_parameters=lambda: list(model.parameters()),
        training_step_exec=lambda batch: loss.value(model(batch.inputs), batch),
    )
    upper = SimpleNamespace(trainable_parameters=lambda: list(loss.alpha))
    value = objective(model(held_out.inputs), [held_out])
    return tuple(get_grads(value, [upper, lower, upper], retain_graph=False))
