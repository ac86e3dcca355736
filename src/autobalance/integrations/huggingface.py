"""Hugging Face: a designed loss for ``transformers.Trainer``, and a Trainer that designs one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Integer
from torch import Tensor

from autobalance.batches import Batch
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError
from autobalance.integrations import MissingLibraryError
from autobalance.integrations.beside import SearchBeside
from autobalance.integrations.held_out import DatasetBatches
from autobalance.losses.parametric import ParametricCrossEntropy, adjusted_cross_entropy
from autobalance.objectives import Objective
from autobalance.search.online import OnlineSearch
from autobalance.storage import write_bytes_atomically
from autobalance.training.checkpoint import decode_state, encode_state

try:
    from transformers import Trainer, TrainerCallback
except Exception as error:  # a torchvision built for another PyTorch raises a RuntimeError
    raise MissingLibraryError("transformers", "huggingface", error) from error

logger = logging.getLogger(__name__)

STATE_NAME = "autobalance_search.checkpoint"
"""File of a Trainer's checkpoint that holds the search's state."""

_LABELS = "labels"
_IGNORED = -100
"""The label that ``Trainer`` does not count in ``num_items_in_batch``."""


class TrainerLoss:
    r"""A loss as ``Trainer(compute_loss_func=...)`` wants it.

    ``Trainer`` splits a batch of n labelled examples into micro-batches, tells each of them n as
    ``num_items_in_batch``, and adds up what the loss returns. So this one returns

    .. math:: -\frac1n \sum_i w_{yg} \log \mathrm{softmax}(\delta_{\cdot g} \odot z_i +
        l_{\cdot g})_y

    over a micro-batch, whose sum is the mean over the batch, however it is split and with however
    many labels of -100, which are ignored. Without ``num_items_in_batch`` it is the mean. Logits of
    tokens, (N, T, K) with labels (N, T), are taken, too.

    Parameters
    ----------
    loss
        Whose values and options count, but not its ``reduction``.

    Raises
    ------
    DesignError
        If the loss ignores another label than -100: ``Trainer`` counts all others.
    """

    def __init__(self, loss: ParametricCrossEntropy) -> None:
        if loss.ignore_index != _IGNORED:
            raise DesignError(
                f"the loss ignores label {loss.ignore_index} but Trainer counts all labels except "
                f"{_IGNORED}; leave ignore_index at {_IGNORED}"
            )
        self.loss = loss

    def __call__(
        self,
        outputs: Any,
        labels: Integer[Tensor, "N *T"] | None,
        num_items_in_batch: Tensor | int | None = None,
        group: Integer[Tensor, "N *T"] | None = None,
    ) -> Tensor:
        """The share of a micro-batch in the loss of its batch.

        Parameters
        ----------
        outputs
            Logits (N, K) or (N, T, K), or a ``ModelOutput`` that has them as ``logits``.
        labels
            Class codes.
        num_items_in_batch
            Labelled examples, or tokens, of the whole batch.
        group
            Group codes, if the loss has groups.

        Raises
        ------
        DataError
            If there are no labels, they are soft, or the outputs have no logits.
        """
        if labels is None or labels.is_floating_point():
            found = "none" if labels is None else "soft"
            raise DataError(
                f"the batch's labels are {found}; give class codes in a column named 'labels' or "
                "'label'"
            )
        logits = getattr(outputs, "logits", outputs)
        if not isinstance(logits, Tensor):
            raise DataError(
                f"the model returns a {type(outputs).__name__} without logits; let it return a "
                "ModelOutput, as with config.return_dict=True"
            )
        loss = self.loss
        total = adjusted_cross_entropy(
            logits.movedim(-1, 1),
            labels,
            loss.multiplying,
            loss.additive,
            loss.multiplicative,
            group=group,
            reduction="mean" if num_items_in_batch is None else "sum",
            ignore_index=loss.ignore_index,
            label_smoothing=loss.label_smoothing,
        )
        return total if num_items_in_batch is None else total / num_items_in_batch


class AutoBalanceTrainer(Trainer):
    """``Trainer`` with a designed loss: group labels reach it, and a search may move it.

    A column of group codes, ``"group"``, is kept although the model has no such argument, goes to
    the loss and not to the model. With an ``objective`` the loss is designed while the model
    trains; its values and the running held-out objective are logged with the training loss, and
    the state of the search is in the checkpoints. A resumed run ends with the same design if its
    checkpoint is of the end of an epoch, or if as many micro-batches as the search's settings call
    recent come between it and the next move: the recent ones are not in it.

    Parameters
    ----------
    args, kwargs
        As for ``transformers.Trainer``.
    loss
        What the model is trained with, made by
        :meth:`~autobalance.ParametricCrossEntropy.from_design`. The search overwrites its values.
    objective
        What should be small on held-out examples, such as ``"balanced"``; ``None`` (default) trains
        with the loss as it is.
    held_out
        A Dataset like ``train_dataset``, of which batches are drawn that show all cells alike.
    group_name
        The column of group codes.
    search_options
        Further keyword arguments of :class:`~autobalance.OnlineSearch`, such as ``settings``.

    Raises
    ------
    DesignError
        If the loss ignores another label than -100.
    DataError
        If there is an objective but nothing held out, or the other way round; when training begins
        also if the Dataset cannot be used.

    Notes
    -----
    Fused attention has no forward mode, so that the search warns and takes finite differences.
    ``attn_implementation="eager"`` has it, and is exact.
    """

    def __init__(
        self,
        *args: Any,
        loss: ParametricCrossEntropy,
        objective: str | Objective | None = None,
        held_out: Any = None,
        group_name: str = "group",
        search_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if (objective is None) != (held_out is None):
            raise DataError(
                "a search needs both an objective and the examples held out to measure it on; "
                "give objective and held_out, or neither"
            )
        self._loss = TrainerLoss(loss)
        self._held_out, self._group_name = held_out, group_name
        self._group: Tensor | None = None
        self._batch: Batch | None = None
        self._beside: SearchBeside | None = None
        super().__init__(*args, compute_loss_func=self._grouped_loss, **kwargs)
        loss.to(self.args.device)
        if objective is not None:
            self._beside = SearchBeside(objective, **(search_options or {}))
            self.add_callback(_Follow(self, self._beside))

    @property
    def search(self) -> OnlineSearch | None:
        """The search, from when training begins."""
        return None if self._beside is None else self._beside.search

    def design(self) -> LossDesign:
        """The loss as it is designed so far.

        Raises
        ------
        DesignError
            If nothing is searched and the loss was made from no design.
        """
        if self._beside is not None:
            return self._beside.design()
        if self._loss.loss.design is None:
            raise DesignError("the loss has no design; make it with from_design")
        return self._loss.loss.design

    def _begin(self, beside: SearchBeside) -> None:
        """Begin beside the model as it is wrapped, once there is an optimizer."""
        optimizer: Any = self.optimizer
        optimizer = getattr(optimizer, "optimizer", optimizer)  # inside accelerate's wrapper
        if not beside.follows(self.model_wrapped, optimizer):
            collate = self._get_collator_with_removed_columns(self.data_collator)
            held_out = DatasetBatches(self._held_out, collate, self._read)
            beside.begin(self.model_wrapped, self._loss.loss, optimizer, held_out)

    def _show_batch(self, beside: SearchBeside) -> None:
        """Show the search the batch that was trained on."""
        if self._batch is not None:
            beside.after(self._batch)
            self._batch = None

    def _read(self, inputs: Mapping[str, Any]) -> Batch:
        """What the model is called with, and what the loss is."""
        if _LABELS not in inputs:
            raise DataError(f"a batch has no {_LABELS}; its columns are {', '.join(inputs)}")
        others = {k: v for k, v in inputs.items() if k not in (_LABELS, self._group_name)}
        return Batch(others, inputs[_LABELS], inputs.get(self._group_name))

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep the groups for the loss, and the batch for the search."""
        if self._beside is not None and model.training:
            self._batch = self._read(inputs)
        self._group = inputs.pop(self._group_name, None)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _grouped_loss(
        self, outputs: Any, labels: Any, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        return self._loss(outputs, labels, num_items_in_batch, self._group)

    def prediction_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Without labels there is no loss, and the model must not see the groups."""
        if _LABELS not in inputs:
            inputs = {k: v for k, v in inputs.items() if k != self._group_name}
        return super().prediction_step(model, inputs, *args, **kwargs)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if self._group_name not in self._signature_columns:
            self._signature_columns.append(self._group_name)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log where the search is with the training loss."""
        if self._beside is not None and "loss" in logs:
            logs = {**logs, **self._beside.values()}
        super().log(logs, *args, **kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self._beside is not None and self.args.should_save:
            state = encode_state(self._beside.state_dict())
            write_bytes_atomically(Path(output_dir) / STATE_NAME, state)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        file = None if checkpoint is None else Path(checkpoint) / STATE_NAME
        if self._beside is not None and file is not None:
            if file.exists():
                self._beside.load_state_dict(decode_state(file.read_bytes()))
            else:
                logger.warning("%s has no %s; the search begins anew", checkpoint, STATE_NAME)
            self._begin(self._beside)  # before a searched weight decay is restored
        super()._load_optimizer_and_scheduler(checkpoint)


class _Follow(TrainerCallback):
    """Tells a search what its Trainer does."""

    def __init__(self, trainer: AutoBalanceTrainer, beside: SearchBeside) -> None:
        self._trainer, self._beside = trainer, beside

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._trainer._begin(self._beside)

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self._beside.begin_epoch()

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        self._trainer._show_batch(self._beside)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._trainer._show_batch(self._beside)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._beside.end()
