"""A trained network on tables or embeddings, and how it is read back without running a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from autobalance.calibration import Calibration
from autobalance.errors import ArtifactError, DataError
from autobalance.labels import Label
from autobalance.model import LinearModel, Model, SavedParts, Tensors, misfit
from autobalance.models.factory import BUILT_IN, Factory
from autobalance.models.sound import is_sound
from autobalance.models.standardise import Standardise

_ROWS = 4096  # predicted at a time
_BIAS = "bias"
_PREFIX = "module."


def tabular_network(factory: Factory, standardise: Standardise, n_classes: int) -> nn.Module:
    """A fresh network behind what standardises its features."""
    return nn.Sequential(standardise, factory((len(standardise.mean),), n_classes))


@dataclass(frozen=True, eq=False)
class NetworkModel(Model):
    """Logits of a network, plus a bias per class.

    Parameters
    ----------
    classes
        K labels, in the order of the logits.
    module
        On the CPU, in evaluation mode; takes raw features.
    name
        What made it: a built-in name or an import path.
    width
        D, how many features it takes.
    bias
        Shape (K,), tuned post hoc; 0 otherwise.
    temperature, calibration
        As in :class:`~autobalance.model.Model`.
    """

    classes: tuple[Label, ...]
    module: nn.Module
    name: str
    width: int
    bias: Float[ndarray, "K"]
    temperature: float = 1.0
    calibration: Calibration | None = None
    version: ClassVar[int] = 2

    @property
    def n_features(self) -> int:
        """D."""
        return self.width

    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D)."""
        rows = torch.from_numpy(np.array(features))
        with torch.no_grad():
            parts = [self.module(part) for part in torch.split(rows, _ROWS)]
        return np.asarray(torch.cat(parts).double().numpy() + self.bias)

    def shifted(self, bias: Float[ndarray, "K"]) -> NetworkModel:
        """The model with another bias."""
        return replace(self, bias=self.bias + bias)

    def parts(self) -> tuple[dict[str, Any], Tensors]:
        """The name of what made it, its state and the bias."""
        state = {
            f"{_PREFIX}{key}": value.numpy() for key, value in self.module.state_dict().items()
        }
        return {"model": self.name}, {_BIAS: self.bias, **state}


def read_model(folder: str | Path, factory: Factory | None = None) -> tuple[Model, dict[str, Any]]:
    """Read a saved model of either kind, and its ``extra``.

    Parameters
    ----------
    folder
        Where it lies.
    factory
        Makes the network, if the user's own code made it: a name in a file runs nothing.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged, newer than this version or does not fit the other, or the
        user's own code is needed or makes another model than the saved one.
    DataError
        If the user's own code fails.
    """
    saved = SavedParts.read(folder)
    if "model" not in saved.document:
        return LinearModel.read(folder)
    name = str(saved.document["model"])
    factory = BUILT_IN.get(name) if factory is None else factory
    if factory is None:
        raise ArtifactError(
            f"the network in {folder} was made by code of your own ({name!r}), which is not run on "
            "a file's word; name it again (--model, or factory=)"
        )
    state = {
        key.removeprefix(_PREFIX): torch.from_numpy(array)
        for key, array in saved.tensors.items()
        if key.startswith(_PREFIX)
    }
    bias = saved.tensors.get(_BIAS, np.empty(0))
    standardise = Standardise(saved.n_features)
    own = factory not in BUILT_IN.values()
    named = factory is not BUILT_IN.get(name)
    try:
        module = tabular_network(factory, standardise, len(saved.classes))
        module.load_state_dict(state)
    except (DataError, RuntimeError) as error:
        if own and isinstance(error, DataError):
            raise  # it says what their code does wrong
        why = (
            f"the model that was named is not {name!r}, which is saved in {folder}, or its code "
            "has changed; name that model as it was"
        )
        raise ArtifactError(why if named else misfit(folder)) from error
    scales = standardise.buffers()
    finite = np.isfinite(bias).all() and all(bool(each.isfinite().all()) for each in scales)
    if bias.shape != (len(saved.classes),) or not (finite and is_sound(module)):
        raise ArtifactError(misfit(folder))
    model = NetworkModel(
        saved.classes,
        module.eval(),
        name,
        saved.n_features,
        bias,
        saved.temperature,
        saved.calibration,
    )
    return model, saved.extra
