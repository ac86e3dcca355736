"""Lightning: a callback that designs the loss while a ``Trainer`` trains with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.utils.data import Dataset, default_collate

from autobalance.batches import as_batch
from autobalance.design import LossDesign
from autobalance.errors import SearchError
from autobalance.integrations import MissingLibraryError
from autobalance.integrations.beside import SearchBeside
from autobalance.integrations.held_out import DatasetBatches, LoaderBatches, Read
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.objectives import Objective
from autobalance.search.online import OnlineSearch

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except Exception as error:  # a torchvision built for another PyTorch raises a RuntimeError
    raise MissingLibraryError("lightning", "lightning", error) from error


class SearchCallback(Callback):
    """Designs the loss of a LightningModule beside its training.

    After each step of the network's optimizer, whether Lightning or the module takes it, the search
    sees the batch; batches between two steps, whose gradients accumulate, count as its recent
    batches, too. The values of the loss (α) and the running held-out objective are logged as
    ``autobalance/...`` and can be monitored. The search's state is in Lightning's checkpoints: a
    run that is resumed from the end of an epoch ends with the same design.

    Parameters
    ----------
    loss
        What ``training_step`` trains with; its values are overwritten.
    objective
        What should be small on held-out examples, such as ``"balanced"``.
    held_out
        A map-style ``Dataset``, of which batches are drawn that show all cells alike; or a loader,
        as :class:`~autobalance.OnlineSearch` takes it. Either gives what training is given.
    read
        From a batch to (inputs, targets) or (inputs, targets, groups); by default a batch is one of
        these. Inputs are what the network is called with.
    network
        Name of the submodule that maps inputs to logits, such as ``"net"``. By default it is the
        LightningModule's own ``forward``.
    options
        Further keyword arguments of :class:`~autobalance.OnlineSearch`, such as ``settings``.

    Raises
    ------
    SearchError
        When training begins: if there is no such network, no optimizer trains it, or a submodule
        is to be searched on under distributed data parallelism, which sees the whole module only.
    """

    def __init__(
        self,
        loss: ParametricCrossEntropy,
        objective: str | Objective,
        held_out: Dataset[Any] | Iterable[Any],
        *,
        read: Read = as_batch,
        network: str = "",
        **options: Any,
    ) -> None:
        self._loss, self._held_out = loss, held_out
        self._read, self._network = read, network
        self._beside = SearchBeside(objective, **options)

    @property
    def search(self) -> OnlineSearch | None:
        """The search, from when training begins."""
        return self._beside.search

    def design(self) -> LossDesign:
        """The loss as it is designed so far."""
        return self._beside.design()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, before the optimizer's state is restored: it may hold a searched weight decay."""
        model = self._model(trainer, pl_module)
        trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
        optimizers = [
            optimizer
            for optimizer in trainer.optimizers
            if any(id(each) in trained for g in optimizer.param_groups for each in g["params"])
        ]
        if not optimizers:
            raise SearchError(
                f"no optimizer of {type(pl_module).__name__} trains "
                f"{self._network or 'the module'}; return one from configure_optimizers"
            )
        self._loss.to(pl_module.device)
        held_out = (
            DatasetBatches(self._held_out, default_collate, self._read)
            if isinstance(self._held_out, Dataset)
            else LoaderBatches(self._held_out, self._read)
        )
        self._beside.begin(model, self._loss, optimizers[0], held_out)

    def _model(self, trainer: Trainer, pl_module: LightningModule) -> nn.Module:
        """The network; where it is the whole module, as data parallelism wraps it."""
        kind = type(pl_module).__name__
        if self._network:
            if trainer.world_size > 1:
                raise SearchError(
                    f"{kind} is trained on several ranks, which agree on the whole module and not "
                    f"on its {self._network!r}; make that its forward, and leave network out"
                )
            try:
                named: nn.Module = pl_module.get_submodule(self._network)
            except AttributeError as error:
                raise SearchError(
                    f"{kind} has no submodule {self._network!r}; name the one that maps inputs to "
                    "logits"
                ) from error
            return named
        if type(pl_module).forward is LightningModule.forward:
            raise SearchError(
                f"{kind} has no forward; let it map inputs to logits, or name the submodule that "
                'does, as in network="net"'
            )
        wrapped: nn.Module = trainer.strategy.model
        return wrapped

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the batches of the epoch before."""
        self._beside.begin_epoch()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the search the batch, and log where it is."""
        self._beside.after(self._read(batch))
        values = self._beside.values()
        if values:
            pl_module.log_dict(values)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the optimizer go."""
        self._beside.end()

    def state_dict(self) -> dict[str, Any]:
        """Of the search, for Lightning's checkpoints."""
        return self._beside.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._beside.load_state_dict(state_dict)
