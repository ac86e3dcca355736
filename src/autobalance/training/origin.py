"""What a run starts from, in words that are the same in every process that starts it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from autobalance.training.settings import TrainingSettings


def described(value: Any) -> str:
    """A value as text: numbers to four digits, which every processor computes alike.

    Of other objects it tells the type and what plain values they hold, and no address in memory.
    """
    plain = _plain(value)
    if plain is not None:
        return plain
    attributes = {
        name: _plain(each) or type(each).__qualname__
        for name, each in sorted(getattr(value, "__dict__", {}).items())
    }
    return f"{type(value).__qualname__} {attributes}"


def described_optimizer(settings: TrainingSettings, optimizer: torch.optim.Optimizer) -> str:
    """Settings and optimizer, before the first step."""
    groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    own = replace(settings, optimizer=None, scheduler=None, augment=None, workers=0)
    return f"{own} {type(optimizer).__qualname__} {described(groups)}"


def described_loss(loss: nn.Module) -> str:
    """Kind, options and values of a loss, before the first epoch."""
    values = [x for table in loss.buffers() for x in table.flatten().tolist()]
    return f"{type(loss).__qualname__} {loss.extra_repr()} {described(values)}"


def _plain(value: Any) -> str | None:
    """Numbers, text and containers as text; of what else they hold, the type."""
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.numel() == 1):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, dict):
        items = (f"{key}: {_within(each)}" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_within(each) for each in value) + "]"
    return None


def _within(value: Any) -> str:
    return _plain(value) or type(value).__qualname__
