"""The weights of a network from a file of the user's."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from autobalance.data.wording import amount
from autobalance.errors import DataError
from autobalance.models.imported import told

_PICKLED = (".pt", ".pth")


def load_weights(module: nn.Module, file: Path, name: str, without: Collection[str] = ()) -> None:
    """Give a module the weights in a file, of which nothing is unpickled but tensors.

    Parameters
    ----------
    module
        Gets them.
    file
        A ``state_dict()``, as ``.safetensors``, ``.pt`` or ``.pth``.
    name
        How errors name the module.
    without
        Layers of the file that the module does not have and that are left out, such as ``"fc"``.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or does not fit the module.
    """
    state = {
        key: value
        for key, value in _read(file).items()
        if not any(key.startswith(f"{layer}.") for layer in without)
    }
    own = module.state_dict()
    reshaped = [key for key in own if key in state and state[key].shape != own[key].shape]
    fitting = {key: value for key, value in state.items() if key not in reshaped}
    missing, unexpected = module.load_state_dict(fitting, strict=False)
    problems = {
        "missing": [key for key in missing if key not in reshaped],
        "unexpected": unexpected,
        "of another shape": reshaped,
    }
    if any(problems.values()):
        said = ", ".join(
            f"{amount(len(keys), 'tensor')} {'is' if len(keys) == 1 else 'are'} {problem} "
            f"({keys[0]!r}{' first' if len(keys) > 1 else ''})"
            for problem, keys in problems.items()
            if keys
        )
        raise DataError(
            f"the weights in {file} do not fit {name!r}: {said}; save the state_dict() of "
            "that very network"
        )


def _read(file: Path) -> Mapping[str, Tensor]:
    suffix = file.suffix.lower()
    if suffix not in (".safetensors", *_PICKLED):
        raise DataError(
            f"cannot tell what weights {file} holds; use a file named .safetensors, "
            f"{' or '.join(_PICKLED)}"
        )
    if not file.is_file():
        raise DataError(f"the file of weights {file} does not exist; check the path")
    try:
        state: Any = (
            torch.load(file, map_location="cpu", weights_only=True)
            if suffix in _PICKLED
            else safetensors.torch.load_file(file)
        )
    except Exception as error:  # damaged bytes may make the reader fail in any way
        # PyTorch's own message advises to unpickle the file, which may run whatever code is in it
        pickled = isinstance(error, pickle.UnpicklingError)
        reason = "damaged, or more than tensors" if pickled else told(error)
        raise DataError(
            f"{file} cannot be read as weights ({reason}); save the network's state_dict() again"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(each, Tensor) for each in state.values()
    ):
        raise DataError(
            f"{file} holds a {type(state).__name__} but no mapping of names to tensors; save the "
            "network's state_dict() by itself"
        )
    return state
