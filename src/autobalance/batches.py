"""Batches as models take them: inputs of any shape, classes, and groups if there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from autobalance.errors import DataError

Inputs = Any
"""A tensor, called as ``model(x)``; a tuple or list, ``model(*x)``; or a mapping, ``model(**x)``;
nested as deep as need be, tensors at the leaves, examples along the first dimension."""


class Batch(NamedTuple):
    """Examples of a batch: inputs, class codes (B,) and group codes (B,) or ``None``.

    Beside a loop of one's own targets may also be shares (B, K), labels (B, L), or dense.
    """

    inputs: Inputs
    targets: Integer[Tensor, "B"]
    groups: Integer[Tensor, "B"] | None = None

    @property
    def group_codes(self) -> Integer[Tensor, "B"]:
        """Group codes, all 0 where there are no groups."""
        return torch.zeros_like(self.targets) if self.groups is None else self.groups

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; on its way to a GPU, nothing waits for it."""
        ahead = device.type == "cuda"
        return Batch(
            map_tensors(lambda leaf: leaf.to(device, non_blocking=ahead), self.inputs),
            self.targets.to(device, non_blocking=ahead),
            None if self.groups is None else self.groups.to(device, non_blocking=ahead),
        )


def as_batch(item: Any) -> Batch:
    """Read what a loader yields: (inputs, targets) or (inputs, targets, groups).

    Raises
    ------
    DataError
        If it is something else.
    """
    if not isinstance(item, Sequence) or len(item) not in (2, 3):
        raise DataError(
            f"a loader yields {type(item).__name__}; it must yield (inputs, targets) or "
            "(inputs, targets, groups)"
        )
    return Batch(*item)


def map_tensors(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """The same structure with ``function`` applied to every tensor in it."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    if isinstance(inputs, Mapping):
        return {key: map_tensors(function, value) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(map_tensors(function, value) for value in inputs)
    return inputs


def model_arguments(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments that these inputs are for a model."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)), {}


def logits_of(output: Any) -> Float[Tensor, "B K"]:
    """The logits in a model's output: the tensor itself, or its attribute ``logits``.

    Raises
    ------
    DataError
        If there are none of shape (B, K).
    """
    logits = outputs_of(output)
    if logits.ndim != 2:
        raise DataError(
            f"the model returns {tuple(logits.shape)}; it must return logits of shape (B, K)"
        )
    return logits


def outputs_of(output: Any) -> Float[Tensor, "B *outputs"]:
    """As :func:`logits_of`, of any shape: (B, L) for L labels, or (B, K, d1, ...), dense.

    Raises
    ------
    DataError
        If there are no floating logits with examples along the first dimension.
    """
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.ndim == 0 or not logits.is_floating_point():
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(output).__name__
        raise DataError(f"the model returns {found}; it must return logits of shape (B, K)")
    return logits


def forward(model: Callable[..., Any], batch: Batch) -> Float[Tensor, "B K"]:
    """Logits of a batch."""
    positional, named = model_arguments(batch.inputs)
    return logits_of(model(*positional, **named))
