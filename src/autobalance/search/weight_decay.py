"""The weight decay of an optimizer's parameter groups, as the one number that is searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from autobalance.space import RIDGE_FLOOR


class WeightDecay:
    """Decays of parameter groups, which keep their ratios; what is not decayed stays so.

    Parameters
    ----------
    optimizer
        Of the network; if none of its groups has a decay, all of them will share one. Groups that
        it is given later keep theirs.

    Attributes
    ----------
    largest
        The largest decay of a group, or :data:`~autobalance.space.RIDGE_FLOOR` if none has one.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        decays = [_decay(group) for group in optimizer.param_groups]
        self.largest = max(decays) or RIDGE_FLOOR
        self._shares = (
            [decay / self.largest for decay in decays] if any(decays) else [1.0] * len(decays)
        )

    def set(self, value: float) -> None:
        """Make ``value`` the largest decay."""
        # A checkpoint that is loaded replaces the optimizer's groups, but not their order; groups
        # that are added later, as in gradual unfreezing, keep their own.
        for group, share in zip(self._optimizer.param_groups, self._shares, strict=False):
            group["weight_decay"] = share * value

    def of(self, parameters: Sequence[nn.Parameter]) -> list[float]:
        """The decay of each parameter as it is now, 0 for those of no group."""
        known = {
            id(parameter): _decay(group)
            for group in self._optimizer.param_groups
            for parameter in group["params"]
        }
        return [known.get(id(parameter), 0.0) for parameter in parameters]


def _decay(group: dict[str, Any]) -> float:
    return float(group.get("weight_decay", 0.0))
