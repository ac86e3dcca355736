"""Adam with one scale for all entries of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class SharedAdam(torch.optim.Optimizer):
    r"""Adam whose second moment is the mean over a tensor's entries.

    With gradient g of P entries, :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g` and
    :math:`v \leftarrow \beta_2 v + (1 - \beta_2) \lVert g \rVert^2 / P`, a step is
    :math:`-\eta\, \hat m / (\sqrt{\hat v} + \epsilon)` with the usual corrections of both for their
    start (Kingma and Ba, "Adam", ICLR 2015, algorithm 1, but for the mean).

    Adam gives every entry steps of one size, and so lets those whose gradients are all noise wander
    as far as those that matter. A policy has many of the former: here they stay where they are.

    Parameters
    ----------
    parameters
        Tensors, or groups of them.
    lr
        η: the root mean square of a step's entries, if gradients hold still.
    betas, eps
        As above.
    shared
        Whether entries share the second moment; without, this is Adam. A group may have its own.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        shared: bool = True,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "shared": shared})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every tensor that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        first, second = group["betas"]
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - first)
        square = gradient.square()
        state["square"].lerp_(
            square.mean().expand_as(square) if group["shared"] else square, 1 - second
        )
        mean = state["mean"] / (1 - first ** state["step"])
        scale = (state["square"] / (1 - second ** state["step"])).sqrt() + group["eps"]
        parameter.sub_(group["lr"] * mean / scale)
