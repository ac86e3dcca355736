"""The searched vector α while it moves by gradient steps, and its optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from autobalance.policy_space import POLICY_PARAMETERS
from autobalance.search.shared_adam import SharedAdam
from autobalance.space import LossValues, SearchSpace

OptimizerFactory = Callable[[list[Tensor]], torch.optim.Optimizer]
ScheduleFactory = Callable[[torch.optim.Optimizer], Any]

_STOPPING = (*POLICY_PARAMETERS, "ridge")
_RECOVERY = 2 ** (1 / 8)
_LOGIT = 5.0
"""Size of a large logit of a trained network: what a unit of log δ moves its adjusted logit by."""


class MovingAlpha:
    """α in parts, one tensor for each searched parameter, starting at 0.

    Parameters
    ----------
    space
        From α to the loss.
    optimizer
        Makes an optimizer of the parts.
    schedule
        Makes a schedule of its learning rate, stepped after each move.
    pull
        Strength c of a pull c/2 ‖α‖² towards the start, without the ridge.
    """

    def __init__(
        self,
        space: SearchSpace,
        optimizer: OptimizerFactory,
        schedule: ScheduleFactory | None = None,
        pull: float = 0.0,
    ) -> None:
        self.space = space
        self.pull = pull
        self.parts = {
            name: torch.zeros(size, dtype=torch.float64) for name, size in space.sizes.items()
        }
        self.optimizer = optimizer(list(self.parts.values()))
        self.schedule = None if schedule is None else schedule(self.optimizer)
        self._low, self._high = np.array(space.bounds).T
        self._slowness = 1.0

    @property
    def vector(self) -> Float[ndarray, "A"]:
        """α as a copy."""
        return torch.cat(list(self.parts.values())).numpy()

    @property
    def values(self) -> LossValues:
        """The loss at α."""
        return self.space.decode(torch.cat(list(self.parts.values())))

    @property
    def rate(self) -> float:
        """The optimizer's learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, slopes: Sequence[Tensor], ridge_slope: float) -> bool:
        """Move by one step of the optimizer; stay, memory included, if that leaves the bounds.

        A part without a hypergradient takes no step: neither momentum nor decay moves it. The ridge
        and the values of a policy stop at their bounds.

        Parameters
        ----------
        slopes
            Derivatives of what is minimised by w, l and δ, each (K, G), and where a policy is
            searched by its probabilities and magnitudes.
        ridge_slope
            The same by the ridge.

        Returns
        -------
        bool
            Whether α has moved.
        """
        before = {name: part.clone() for name, part in self.parts.items()}
        memory = copy.deepcopy(self.optimizer.state_dict())
        for name, gradient in self._gradients(slopes, ridge_slope).items():
            part = self.parts[name]
            part.grad = gradient + (0.0 if name == "ridge" else self.pull) * part
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._stop_at_bounds()
        vector = self.vector
        within = bool(((vector >= self._low) & (vector <= self._high)).all())  # false for NaN too
        if not within:
            for name, part in self.parts.items():
                part.copy_(before[name])
            self.optimizer.load_state_dict(memory)
        else:
            # The schedule sees the rates that it has set: some compute the next from the last.
            self._scale_rates(self._slowness)
            if self.schedule is not None:
                self.schedule.step()
            self._slowness = max(1.0, self._slowness / _RECOVERY)
            self._scale_rates(1 / self._slowness)
        return within

    def _stop_at_bounds(self) -> None:
        """Where they are as sound as any value: the least decay, or an operation all but left out.

        A policy has many values, and most are of no importance.
        """
        start = 0
        for name, part in self.parts.items():
            own = slice(start, start + len(part))
            start += len(part)
            if name in _STOPPING:
                low, high = (torch.from_numpy(ends[own]) for ends in (self._low, self._high))
                part.clamp_(low, high)

    def slow_down(self) -> None:
        """Halve the learning rate, now and in what the schedule makes of it.

        Eight steps within the bounds make up for it: a few bad batches must not end a search.
        """
        self._slowness *= 2
        self._scale_rates(1 / 2)

    def _scale_rates(self, factor: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] *= factor

    def _gradients(self, slopes: Sequence[Tensor], ridge_slope: float) -> dict[str, Tensor]:
        """Carried through the dictionaries and normalisations; parts without any are left out."""
        leaves = {name: part.clone().requires_grad_() for name, part in self.parts.items()}
        with torch.enable_grad():
            values = self.space.decode(torch.cat(list(leaves.values())))
        loss = (values.weight, values.additive, values.multiplicative)
        policy = values.policy[: len(slopes) - len(loss)]  # none if it is not searched
        outputs = (*loss, *policy, values.ridge)
        given = [slope.cpu().double() for slope in slopes]  # some devices have no float64
        given.append(torch.tensor(ridge_slope, dtype=torch.float64))
        searched = [pair for pair in zip(outputs, given, strict=True) if pair[0].requires_grad]
        gradients = torch.autograd.grad(
            [output for output, _ in searched],
            list(leaves.values()),
            [slope for _, slope in searched],
        )
        return {
            name: gradient
            for name, gradient in zip(leaves, gradients, strict=True)
            if bool(gradient.any())
        }

    def state_dict(self) -> dict[str, Any]:
        """What a resumed search needs."""
        return {
            "parts": {name: part.clone() for name, part in self.parts.items()},
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "slowness": self._slowness,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for name, part in self.parts.items():
            part.copy_(state["parts"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self._slowness = float(state["slowness"])


def default_optimizer(rate: float, space: SearchSpace) -> OptimizerFactory:
    """Adam, whose steps move an adjusted logit, log weight or log odds by about ``rate``.

    The values of a policy share its scale; see :class:`.shared_adam.SharedAdam`.
    """
    reach = {name: float(abs(each.sparse).max()) for name, each in space.all_dictionaries.items()}
    if "multiplicative" in reach:
        reach["multiplicative"] *= _LOGIT
    rates = [rate / reach.get(name, 1.0) for name in space.parameters]
    # A short memory of squares: the scale of a hypergradient changes as the network trains.
    kind = SharedAdam if set(POLICY_PARAMETERS) & set(space.parameters) else torch.optim.Adam

    def make(tensors: list[Tensor]) -> torch.optim.Optimizer:
        groups = [{"params": [part], "lr": own} for part, own in zip(tensors, rates, strict=True)]
        if kind is SharedAdam:
            for group, name in zip(groups, space.parameters, strict=True):
                group["shared"] = name in POLICY_PARAMETERS
        return kind(groups, betas=(0.9, 0.99))

    return make
