"""Weights of convolutions in the channels-last format, as the images that they meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from autobalance.models.pixels import Pixels


@contextmanager
def channels_last(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within it, a model with :class:`~autobalance.models.pixels.Pixels` converts no weights.

    In the usual format they are converted in every step, and their gradients back. After it, they
    are in the usual format again: others, such as a file's writer, may take that for granted. Other
    models are left as they are, for code such as ``maps.view(n, -1)`` fails on channels-last maps.
    """
    pixels = any(isinstance(module, Pixels) for module in model.modules())
    weights = _usual_weights(model) if pixels else []
    try:
        _convert(weights, torch.channels_last)
        _match_layout(optimizer)
        yield
    finally:
        _convert(weights, torch.contiguous_format)
        _match_layout(optimizer)


def _match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give what an optimizer keeps of each parameter, such as its momentum, that one's strides.

    A fused step on a CPU goes through memory in order: with other strides it is wrong, silently.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _usual_weights(model: nn.Module) -> list[nn.Parameter]:
    weights = [
        module._parameters.get("weight")  # not a parametrised one, which is computed
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    return [each for each in weights if each is not None and each.is_contiguous()]


@torch.no_grad()
def _convert(weights: list[nn.Parameter], layout: torch.memory_format) -> None:
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=layout)
        weight.grad = None  # the next step has its own, and this one has the other strides
