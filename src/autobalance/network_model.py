"""A trained network on features or images, and how it is read back without running a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from autobalance.models.pixels import Pixels
from autobalance.models.sound import is_sound
from autobalance.models.standardise import Standardise
from autobalance.training.pipeline import default_device

_ROWS = 4096  # predicted at a time
_IMAGES = 256
_BIAS = "bias"
_PREFIX = "module."


def front_of(shape: tuple[int, ...]) -> Standardise | Pixels:
    """What takes examples of a shape raw and stands before a network, not fitted yet."""
    return Standardise(shape[0]) if len(shape) == 1 else Pixels(shape[0])


def with_front(
    factory: Factory, front: Standardise | Pixels, shape: tuple[int, ...], n_classes: int
) -> nn.Module:
    """A fresh network for examples of a shape, behind its front."""
    return nn.Sequential(front, factory(shape, n_classes))


@dataclass(frozen=True, eq=False)
class NetworkModel(Model):
    """Logits of a network, plus a bias per class.

    Parameters
    ----------
    classes
        K labels, in the order of the logits.
    module
        On the CPU, in evaluation mode; takes raw features, or images as they were read.
    name
        What made it: a built-in name or an import path.
    inputs_shape
        Of one example: (D,) or (C, H, W).
    bias
        Shape (K,), tuned post hoc; 0 otherwise.
    temperature, calibration
        As in :class:`~autobalance.model.Model`.
    device
        Where logits are computed; by default on a GPU if there is one.
    """

    classes: tuple[Label, ...]
    module: nn.Module
    name: str
    inputs_shape: tuple[int, ...]
    bias: Float[ndarray, "K"]
    temperature: float = 1.0
    calibration: Calibration | None = None
    device: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.inputs_shape

    @property
    def version(self) -> int:
        """Of its files."""
        return 2 if len(self.shape) == 1 else 3

    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D), or of images (N, C, H, W) of uint8."""
        device, at_once = default_device(self.device), _ROWS if len(self.shape) == 1 else _IMAGES
        module = self.module.to(device)
        try:
            with torch.no_grad():
                parts = [
                    module(torch.from_numpy(np.array(features[first : first + at_once])).to(device))
                    for first in range(0, max(len(features), 1), at_once)
                ]
        finally:
            module.cpu()
        return np.asarray(torch.cat(parts).double().cpu().numpy() + self.bias)

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
    own = factory not in BUILT_IN.values()
    named = factory is not BUILT_IN.get(name)
    try:
        if not own:  # no memory is taken for sizes that the weights do not bear out
            with torch.device("meta"):
                outline = with_front(
                    factory, front_of(saved.shape), saved.shape, len(saved.classes)
                )
            outline.load_state_dict(state, assign=True)
        front = front_of(saved.shape)
        module = with_front(factory, front, saved.shape, len(saved.classes))
        module.load_state_dict(state)
    except (DataError, RuntimeError) as error:
        if own and isinstance(error, DataError):
            raise  # it says what their code does wrong
        why = (
            f"the model that was named is not {name!r}, which is saved in {folder}, or its code "
            "has changed; name that model as it was"
        )
        raise ArtifactError(why if named else misfit(folder)) from error
    finite = np.isfinite(bias).all() and all(
        bool(each.isfinite().all()) for each in front.buffers()
    )
    if bias.shape != (len(saved.classes),) or not (finite and is_sound(module)):
        raise ArtifactError(misfit(folder))
    model = NetworkModel(
        saved.classes,
        module.eval(),
        name,
        saved.shape,
        bias,
        saved.temperature,
        saved.calibration,
    )
    return model, saved.extra
