"""Whether a network's numbers can be used."""

from __future__ import annotations

import torch
from torch import nn


def is_sound(model: nn.Module) -> bool:
    """Whether no tensor holds NaN, and none that is trained infinity, which masks may hold."""
    trained = all(bool(each.isfinite().all()) for each in model.parameters() if each.requires_grad)
    return trained and not any(bool(torch.isnan(each).any()) for each in _tensors(model))


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    frozen = [each for each in model.parameters() if not each.requires_grad]
    return [*frozen, *model.buffers()]
