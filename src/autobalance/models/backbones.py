"""Networks that turn images into features: pretrained ones, or the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from autobalance.errors import DataError
from autobalance.models.imported import ImportedFactory, told
from autobalance.models.vision import TORCHVISION, import_for
from autobalance.models.weights import load_weights

DEFAULT = "default"
"""In place of a file of weights: those that the backbone's maker gives it."""
_TIMM = "timm:"


def backbone(name: str, weights: str | Path = DEFAULT) -> nn.Module:
    """A network without its head, in evaluation mode: from images (N, 3, H, W) to features (N, D).

    Parameters
    ----------
    name
        ``resnet18`` or ``resnet50`` of torchvision, ``timm:NAME`` for any network of timm, or
        ``package.module:factory``: a function without arguments that returns a
        ``torch.nn.Module``. **A path is imported, which runs its code.**
    weights
        A file with the ``state_dict()`` of the network, whose head may be there and is left out:
        ``.safetensors``, ``.pt`` or ``.pth``. Nothing is unpickled but tensors. By default, the
        pretrained weights that torchvision or timm download, and of the user's own network those
        that it is made with.

    Raises
    ------
    DataError
        If there is no such backbone, a library cannot be imported or cannot make it, the user's
        code fails, or the weights cannot be read or are of another network.
    """
    if name in TORCHVISION:
        module, heads = _of_torchvision(name, weights == DEFAULT)
    elif name.startswith(_TIMM):
        module, heads = _of_timm(name, weights == DEFAULT)
    elif ":" in name:
        factory = ImportedFactory.of(name, "backbone", "function without arguments")
        module, heads = factory.make("without arguments"), ()
    else:
        raise DataError(
            f"there is no backbone {name!r}; use {', '.join(TORCHVISION)}, a network of timm such "
            "as timm:vit_base_patch16_224, or the path of your own such as package.module:factory"
        )
    if weights != DEFAULT:
        load_weights(module, Path(weights), name, heads)
    return module.eval()


def _of_torchvision(name: str, pretrained: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """The network and the names of its layers that are no part of a backbone."""
    models = import_for(f"backbone {name!r}", "torchvision.models")
    try:
        module: nn.Module = getattr(models, name)(weights="DEFAULT" if pretrained else None)
    except Exception as error:
        raise _not_made(name, "torchvision", error) from error
    module.fc = nn.Identity()
    return _channels_last(module), ("fc",)


def _of_timm(name: str, pretrained: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """As above."""
    timm = import_for(f"backbone {name!r}", "timm")
    try:
        module: nn.Module = timm.create_model(
            name.removeprefix(_TIMM), pretrained=pretrained, num_classes=0
        )
    except Exception as error:
        raise _not_made(name, "timm", error) from error
    heads: Any = getattr(module, "pretrained_cfg", {}).get("classifier") or ()
    return _channels_last(module), (heads,) if isinstance(heads, str) else tuple(heads)


def _channels_last(module: nn.Module) -> nn.Module:
    """In the faster format, which code of the user's own may not be ready for."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _not_made(name: str, library: str, error: Exception) -> DataError:
    return DataError(
        f"{library} cannot make backbone {name!r} ({told(error)}); correct the name or, if its "
        "weights cannot be downloaded, give a file of them with --weights"
    )
