"""The ResNets of torchvision, which is imported only when one of them is made."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn

from autobalance.errors import DataError
from autobalance.models.imported import told

TORCHVISION = ("resnet18", "resnet50")
"""The networks of torchvision that have a name here."""
_COLOURS = 3


def torchvision_resnet(name: str, n_classes: int, in_channels: int = _COLOURS) -> nn.Module:
    """A ResNet for photographs, of about 224 × 224 pixels, with weights drawn at random.

    Parameters
    ----------
    name
        One of :data:`TORCHVISION`.
    n_classes
        K.
    in_channels
        3 for colour images (default); for others the first convolution is made anew, in the way
        that torchvision starts it.

    Raises
    ------
    DataError
        If torchvision cannot be imported.
    """
    models = import_for(f"model {name!r}", "torchvision.models")
    model: nn.Module = getattr(models, name)(num_classes=n_classes)
    if in_channels != _COLOURS:
        model.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model


def import_for(user: str, module: str) -> Any:
    """Import a library of networks, which may be missing or built for another PyTorch.

    Parameters
    ----------
    user
        What needs it, as the error says it.
    module
        What to import.

    Raises
    ------
    DataError
        If the import fails, for whatever reason: a torchvision that was built for another PyTorch
        raises a ``RuntimeError``.
    """
    try:
        return import_module(module)
    except Exception as error:
        library = module.partition(".")[0]
        raise DataError(
            f"{user} needs {library}, which cannot be imported ({told(error)}); install it with "
            "pip install 'autobalance[vision]', and torchvision in the build for your PyTorch "
            f"{torch.__version__}"
        ) from error
