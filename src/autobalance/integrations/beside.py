"""A search beside a training loop that a library owns.

Whatever the library, its callback says that training begins, with which model, loss and optimizer,
hands over each batch once the library has trained on it, and keeps the state with the library's
checkpoints. Whether the optimizer has stepped the optimizer itself tells: a batch after which it
has not is one of several whose gradients accumulate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from autobalance.batches import as_batch
from autobalance.design import LossDesign
from autobalance.errors import SearchError
from autobalance.hypergradient.wrappers import unwrap
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.objectives import Objective
from autobalance.search.online import OnlineSearch

LOGGED_AS = "autobalance"
"""What the names of logged values begin with."""


class SearchBeside:
    """An :class:`~autobalance.OnlineSearch` that begins when training does.

    Parameters
    ----------
    objective
        What should be small on held-out examples.
    options
        Further keyword arguments of :class:`~autobalance.OnlineSearch`.
    """

    search: OnlineSearch | None = None

    def __init__(self, objective: str | Objective, **options: Any) -> None:
        self._objective, self._options = objective, options
        self._state: dict[str, Any] | None = None
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._stepped = False

    def follows(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
        """Whether a search is under way beside this very training."""
        if self._hook is None or self.search is None:
            return False
        return self.search.model is model and self._optimizer is optimizer

    def begin(
        self,
        model: nn.Module,
        loss: ParametricCrossEntropy,
        optimizer: torch.optim.Optimizer,
        held_out: Iterable[Any],
    ) -> None:
        """Begin, or go on: from a state that was loaded, or where training of this model ended."""
        state = self._state
        if state is None and self.search is not None:
            same = unwrap(self.search.model) is unwrap(model)
            state = self.search.state_dict() if same else None
        self.end()
        self.search = OnlineSearch(
            model, loss, self._objective, held_out, trained_by=optimizer, **self._options
        )
        if state is not None:
            self.search.load_state_dict(state)
        self._state, self._stepped, self._optimizer = None, False, optimizer
        self._hook = optimizer.register_step_post_hook(self._note_step)

    def after(self, item: Any) -> None:
        """Take a batch, (inputs, targets) or (inputs, targets, groups), that was trained on."""
        assert self.search is not None
        device = next(self.search.model.parameters()).device
        batch = as_batch(item).to(device)
        if self._stepped:
            self._stepped = False
            self.search.step(*batch)
        else:
            self.search.note(*batch)

    def begin_epoch(self) -> None:
        """Forget recent batches, so that a run resumed here sees what one that went on does."""
        if self.search is not None:
            self.search.forget_batches()

    def end(self) -> None:
        """Listen to the optimizer no more."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = self._optimizer = None

    def _note_step(self, *_: Any) -> None:
        self._stepped = True

    def design(self) -> LossDesign:
        """The loss as it is designed so far.

        Raises
        ------
        SearchError
            Before training.
        """
        if self.search is None:
            raise SearchError("the search has not begun; train first")
        return self.search.design()

    def values(self) -> dict[str, float]:
        """α after its latest move and the running held-out objective, by name, for a logger."""
        if self.search is None or not self.search.history:
            return {}
        values: dict[str, float] = {}
        record = self.search.history[-1].record
        if record is not None:
            values[f"{LOGGED_AS}/objective"] = record.value
        for name, part in self.search.alpha.parts.items():
            for place, value in enumerate(part.tolist()):
                suffix = f"_{place}" if len(part) > 1 else ""
                values[f"{LOGGED_AS}/{name}{suffix}"] = value
        return values

    def state_dict(self) -> dict[str, Any]:
        """Of the search, or what was loaded for it before it begins."""
        return (self._state or {}) if self.search is None else self.search.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`, at once or when training begins."""
        if self._hook is None:
            self._state = state
        elif self.search is not None:
            self.search.load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        """What can be copied and pickled: the search's state, without its model and loaders."""
        return {
            "_objective": self._objective,
            "_options": self._options,
            "_state": self.state_dict() or None,
            "_hook": None,
            "_optimizer": None,
            "_stepped": False,
        }
