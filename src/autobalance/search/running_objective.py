"""The held-out objective from batches that show a few examples of each cell.

An objective is a function F of the cells' mean losses. On a batch these means are noisy, and the
maximum or difference of noisy means is biased. So F is taken at running means R of the cells, and
linearised there: the batch counts with

    Σ_c ∂F/∂R_c · (mean loss of cell c in the batch) / (share of the batches that show cell c)

over the cells it shows, whose gradient is unbiased whichever cells a batch happens to hold. Where
every batch is the whole held-out set, nothing runs and F itself is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from autobalance.batches import Batch
from autobalance.errors import DataError, SearchError
from autobalance.losses._checks import explain_codes
from autobalance.objectives import BoundObjective
from autobalance.search.heldout import HeldOutRisk


class RunningObjective:
    """Cell risks over successive held-out batches, and the objective at them.

    Parameters
    ----------
    objective
        Bound to the classes and groups.
    frequencies
        Shape (K, G), share of each cell in the population that ``error`` and class risks speak of:
        the training data's.
    loss, sharpness, profile_temperature
        As in :class:`~autobalance.search.heldout.HeldOutRisk`; the temperature is the batch's.
    memory
        Weight of the past in a running mean, per batch that shows the cell: 0.9 is about the last
        ten of them. 0 for batches that are the whole held-out set.
    """

    def __init__(
        self,
        objective: BoundObjective,
        frequencies: Float[ndarray, "K G"],
        *,
        loss: str,
        sharpness: float,
        profile_temperature: bool = True,
        memory: float = 0.9,
    ) -> None:
        self._objective = objective
        self._frequencies = torch.from_numpy(frequencies.copy())
        self._loss, self._sharpness = loss, sharpness
        self._profile_temperature = profile_temperature
        self._memory = memory
        self.risks = torch.zeros(objective.present.shape, dtype=torch.float64)
        self.errors = torch.zeros_like(self.risks)
        self.shown = torch.zeros_like(self.risks)
        self.batches = 0

    def __call__(self, logits: Float[Tensor, "M K"], batches: Sequence[Batch]) -> Float[Tensor, ""]:
        """The objective at the running risks, with the gradient of this batch's part in it.

        Examples of cells that training has not are left out.

        Raises
        ------
        SearchError
            If a logit is not finite, or no example is left; the batches then leave no trace.
        DataError
            If the batches hold no codes of classes, or of groups where there are groups.
        """
        target, group = self._codes(batches)
        known = torch.from_numpy(self._objective.present)[target, group]
        target, group, z = target[known], group[known], _precise(logits)[known.to(logits.device)]
        if not len(target):
            raise SearchError("no held-out example has a class and group that training has")
        if not bool(torch.isfinite(z).all()):
            raise SearchError("the held-out logits are not finite")
        examples = torch.zeros_like(self.risks)
        examples.index_put_((target, group), examples.new_ones(()), accumulate=True)
        seen = examples > 0
        weight = self._frequencies / examples
        risk = HeldOutRisk(
            target,
            group,
            weight[target, group],
            self._objective.among(seen.numpy()),
            sharpness=self._sharpness,
            loss=self._loss,
            profile_temperature=self._profile_temperature,
        )
        means = risk.cell_means(risk.example_losses(z))
        self._remember(seen, means.detach(), risk.cell_errors(z.detach()))
        at = self.risks.clone().requires_grad_()
        shown_yet = self._objective.among((self.shown > 0).numpy())
        value = shown_yet.risk(at, self._frequencies, self._sharpness)
        (slope,) = torch.autograd.grad(value, at)
        often = (self.shown / self.batches).clamp_min(1 / self.batches)
        part = (slope / often * torch.where(seen, means, 0)).sum()
        return value.detach() + part - part.detach()

    def _codes(self, batches: Sequence[Batch]) -> tuple[Int[Tensor, "M"], Int[Tensor, "M"]]:
        """Codes of class and group, on the CPU and in range."""
        n_classes, n_groups = self.risks.shape
        for batch in batches:
            if n_groups > 1 and batch.groups is None:
                raise DataError(
                    f"the held-out batches have no groups but the loss has {n_groups}; the loader "
                    "must yield (inputs, targets, groups)"
                )
            if batch.targets.ndim != 1 or batch.targets.is_floating_point():
                raise DataError(
                    f"held-out targets are {batch.targets.dtype} of shape "
                    f"{tuple(batch.targets.shape)}; give one class code for each example"
                )
        target = torch.cat([batch.targets for batch in batches]).cpu().long()
        group = torch.cat([batch.group_codes for batch in batches]).cpu().long()
        explain_codes("class", target, n_classes)
        explain_codes("group", group, n_groups)
        return target, group

    def _remember(
        self, seen: Tensor, means: Float[Tensor, "K G"], errors: Float[Tensor, "K G"]
    ) -> None:
        """Move the running means of the cells that a batch shows; the first is taken whole."""
        past = self._memory * (self.shown > 0).double()
        for running, new in ((self.risks, means), (self.errors, errors)):
            running.copy_(torch.where(seen, past * running + (1 - past) * new, running))
        self.shown += seen
        self.batches += 1

    def state_dict(self) -> dict[str, Any]:
        """What a resumed search needs."""
        return {
            "risks": self.risks.clone(),
            "errors": self.errors.clone(),
            "shown": self.shown.clone(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for name in ("risks", "errors", "shown"):
            getattr(self, name).copy_(state[name])
        self.batches = int(state["batches"])


def _precise(logits: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    """In float64, and where they are: for thousands of classes that is no little work."""
    # some devices have no float64
    return (logits if logits.device.type == "cuda" else logits.cpu()).double()
