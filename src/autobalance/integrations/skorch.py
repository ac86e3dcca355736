"""skorch: a net that takes groups and sample weights, and a callback that designs its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from autobalance.batches import Batch
from autobalance.design import LossDesign
from autobalance.errors import DataError, SearchError
from autobalance.integrations import MissingLibraryError
from autobalance.integrations.beside import LOGGED_AS, SearchBeside
from autobalance.integrations.held_out import DatasetBatches
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.objectives import Objective
from autobalance.search.alpha_step import AlphaStep

try:
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback
    from skorch.utils import to_tensor
except Exception as error:  # what it imports may fail in any way
    raise MissingLibraryError("skorch", "skorch", error) from error

_INPUTS = "inputs of the module"
_EXTRAS = ("group", "sample_weight")
_SOFTMAX = partial(torch.softmax, dim=-1)


class AutoBalanceNet(NeuralNetClassifier):
    """``NeuralNetClassifier`` with a designed loss, which takes group and sample_weight.

    The module returns logits, and the classes are codes from 0. Both extras of :meth:`fit` are
    arrays with an entry for each example; they follow the examples into the validation split and
    through scikit-learn: ``pipeline.fit(X, y, net__group=g)``, ``GridSearchCV(net, ...).fit(X, y,
    group=g)``. The net predicts without groups.

    Parameters
    ----------
    criterion
        By default :meth:`.ParametricCrossEntropy.from_design`, so that ``criterion__design`` is the
        design; any other that is called as ``criterion(logits, target, group, sample_weight)``.
    predict_nonlinearity
        From logits to what ``predict_proba`` returns, by default softmax.
    args, kwargs
        As for ``skorch.NeuralNetClassifier``.

    Examples
    --------
    >>> from autobalance import Counts, preset
    >>> design = preset("logit-adjustment", Counts.from_codes([0, 0, 0, 1], None, [0, 1]))
    >>> net = AutoBalanceNet(torch.nn.Linear, module__in_features=3, module__out_features=2,
    ...                      criterion__design=design)
    """

    def __init__(
        self,
        module: Any,
        *args: Any,
        criterion: Any = ParametricCrossEntropy.from_design,
        predict_nonlinearity: Any = _SOFTMAX,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module, *args, criterion=criterion, predict_nonlinearity=predict_nonlinearity, **kwargs
        )

    def fit(
        self, X: Any, y: Any, group: Any = None, sample_weight: Any = None, **fit_params: Any
    ) -> AutoBalanceNet:
        """Fit from new weights, unless ``warm_start`` is set.

        Parameters
        ----------
        X, y
            As skorch takes them.
        group
            Group codes, shape (N,), needed if the design has groups.
        sample_weight
            Factors on the examples' losses, shape (N,). The mean is not divided by them.
        fit_params
            Go to the module's ``forward``.
        """
        extras = {"group": group, "sample_weight": sample_weight}
        super().fit(X, y, **extras, **fit_params)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        group: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> AutoBalanceNet:
        """Go on fitting; see :meth:`fit`.

        Raises
        ------
        DataError
            If an extra has not one entry for each example.
        """
        extras = {"group": group, "sample_weight": sample_weight}
        given = {name: values for name, values in extras.items() if values is not None}
        if given:
            X = _WithExtras(self.get_dataset(X, y), given)
        super().partial_fit(X, y, classes, **fit_params)
        return self

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Call the module without the extras."""
        return super().infer(_split(x)[0], **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Call the criterion with the extras."""
        _, extras = _split(X)
        target, extras = to_tensor((y_true, extras), device=self.device)
        loss: Tensor = self.criterion_(y_pred, target, **extras)
        return loss


class SearchCallback(Callback):
    """Designs the loss of an :class:`AutoBalanceNet` while it is fitted.

    It needs a criterion made by :meth:`.ParametricCrossEntropy.from_design`, the net's default.
    ``partial_fit`` and ``warm_start`` go on with the search, ``fit`` begins it anew. The net's
    history has the running held-out objective at the end of each epoch.

    Parameters
    ----------
    objective
        What should be small on held-out examples, such as ``"balanced"``.
    held_out
        Arrays (X, y) or (X, y, group) as the net takes them. By default it is the part that the
        net's ``train_split`` sets aside; its validation scores then look better than they are,
        because the loss was chosen by it.
    options
        Further keyword arguments of :class:`~autobalance.OnlineSearch`, such as ``settings``.

    Attributes
    ----------
    design_
        The loss as it was designed in the end.
    history_
        The moves of the search.

    Raises
    ------
    SearchError, DataError
        When fitting begins: if the criterion is another, or nothing is held out. With a batch that
        has sample weights, which the search does not know.
    """

    design_: LossDesign
    history_: list[AlphaStep]

    def __init__(
        self,
        objective: str | Objective,
        held_out: tuple[Any, ...] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.objective, self.held_out, self.options = objective, held_out, options

    def initialize(self) -> SearchCallback:
        """Forget an earlier search."""
        self.beside_ = SearchBeside(self.objective, **(self.options or {}))
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Refuse a criterion that cannot be searched."""
        if not isinstance(net.criterion_, ParametricCrossEntropy):
            raise SearchError(
                f"the net's criterion is a {type(net.criterion_).__name__}; leave the default of "
                "AutoBalanceNet, which a design describes"
            )

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        """Begin with the first epoch, when the net has split its data."""
        if not self.beside_.follows(net.module_, net.optimizer_):
            held_out = DatasetBatches(self._dataset(net, dataset_valid), default_collate, _read)
            self.beside_.begin(net.module_, net.criterion_, net.optimizer_, held_out)
        self.beside_.begin_epoch()

    def _dataset(self, net: Any, dataset_valid: Any) -> Any:
        if self.held_out is not None:
            X, y, *group = self.held_out
            dataset = net.get_dataset(X, y)
            return _WithExtras(dataset, {"group": group[0]}) if group else dataset
        if dataset_valid is None:
            raise DataError(
                "the net has no train_split, so that nothing is held out; set one, or give the "
                "search held_out=(X, y)"
            )
        return dataset_valid

    def on_batch_end(
        self, net: Any, batch: Any = None, training: Any = None, **kwargs: Any
    ) -> None:
        """Show the search a training batch."""
        if training:
            self.beside_.after(_read(batch))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write down the running held-out objective."""
        value = self.beside_.values().get(f"{LOGGED_AS}/objective", math.nan)
        net.history.record("held_out_objective", value)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the design."""
        self.beside_.end()
        if self.beside_.search is not None:  # unless it was interrupted at once
            self.design_, self.history_ = self.beside_.design(), self.beside_.search.history


class _WithExtras(Dataset[Any]):
    """A skorch Dataset whose inputs bring the extras of their example with them."""

    def __init__(self, dataset: Any, extras: Mapping[str, Any]) -> None:
        for name, values in extras.items():
            if len(values) != len(dataset):
                raise DataError(
                    f"there are {len(dataset)} examples but {len(values)} entries in {name}; give "
                    "one for each example"
                )
        self._dataset = dataset
        self._extras = {name: torch.as_tensor(values) for name, values in extras.items()}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, place: Any) -> tuple[Any, Any]:
        inputs, target = self._dataset[place]
        extras = {name: values[place] for name, values in self._extras.items()}
        return {_INPUTS: inputs, **extras}, target


def _split(inputs: Any) -> tuple[Any, dict[str, Any]]:
    """What the module is called with, and the extras."""
    if not isinstance(inputs, Mapping) or _INPUTS not in inputs:
        return inputs, {}
    return inputs[_INPUTS], {name: inputs[name] for name in _EXTRAS if name in inputs}


def _read(batch: Any) -> Batch:
    """A batch of the net as the search takes it."""
    inputs, extras = _split(batch[0])
    if "sample_weight" in extras:
        raise DataError(
            "a search does not know sample weights and would design another loss; leave "
            "sample_weight out, or search without it and fit again with the design"
        )
    if isinstance(inputs, (list, tuple)):
        inputs = (inputs,)  # the module takes them as one argument
    return Batch(inputs, batch[1], extras.get("group"))
