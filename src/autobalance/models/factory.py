"""From a name to a model: a built-in one, or one that the user's own code makes.

A path such as ``package.module:factory`` is *imported*, which runs the user's code. That is right
for a path the user has just typed and wrong for one that was read from a file. So a saved model
names no path to be run by itself: whoever reads a model from a file looks its name up in
:data:`BUILT_IN`, and has the user hand in the model that their own code makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from torch import nn

from autobalance.errors import DataError
from autobalance.models.imported import ImportedFactory
from autobalance.models.mlp import MLP
from autobalance.models.resnet import resnet8, resnet14, resnet20, resnet32, resnet44, resnet56
from autobalance.models.small_cnn import SmallCNN
from autobalance.models.strided_cnn import StridedCNN
from autobalance.models.vision import TORCHVISION, torchvision_resnet

Factory = Callable[[tuple[int, ...], int], nn.Module]
"""From the shape of one example, (D,) or (C, H, W), and the number of classes to a model."""


def _for_any_size(build: Callable[[int, int], nn.Module]) -> Callable[..., nn.Module]:
    return lambda n_classes, channels, *_: build(n_classes, channels)


_FEATURES, _IMAGES = "features of shape (D,)", "images of shape (C, H, W)"
_KINDS: dict[str, dict[str, Callable[..., nn.Module]]] = {  # called as (K, D) or (K, C, H, W)
    _FEATURES: {
        "linear": lambda n_classes, width: MLP(width, n_classes, hidden=()),
        "mlp": lambda n_classes, width: MLP(width, n_classes),
    },
    _IMAGES: {
        "small-cnn": lambda n_classes, channels, *size: SmallCNN(n_classes, channels, size),
        "strided-cnn": lambda n_classes, channels, *size: StridedCNN(n_classes, channels, size),
        "resnet8": _for_any_size(resnet8),
        "resnet14": _for_any_size(resnet14),
        "resnet20": _for_any_size(resnet20),
        "resnet32": _for_any_size(resnet32),
        "resnet44": _for_any_size(resnet44),
        "resnet56": _for_any_size(resnet56),
        **{name: _for_any_size(partial(torchvision_resnet, name)) for name in TORCHVISION},
    },
}


def build_model(name: str, inputs_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Make a model whose parameters are drawn at random.

    Parameters
    ----------
    name
        A built-in name or an import path, as in :func:`model_factory`.
    inputs_shape
        Shape of one example: (D,) for features, (C, H, W) for images.
    n_classes
        K.

    Raises
    ------
    DataError
        As in :func:`model_factory`; if a built-in takes other shapes, or is torchvision's, which
        cannot be imported; if the factory of a path fails or makes no ``torch.nn.Module``.
    """
    return model_factory(name)(inputs_shape, n_classes)


def model_factory(name: str) -> Factory:
    """Find what makes the models of a name; **a path is imported, which runs its code**.

    Parameters
    ----------
    name
        A key of :data:`BUILT_IN`, or ``package.module:factory``. A module in the current working
        directory is found as by ``python -m``. Its factory is called as
        ``factory(inputs_shape, n_classes)`` and returns a ``torch.nn.Module``.

    Raises
    ------
    DataError
        If there is no such built-in, the module cannot be imported, or it has no such attribute or
        one that cannot be called.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if ":" not in name:
        raise DataError(
            f"there is no model {name!r}; use {', '.join(BUILT_IN)} or the path of your own, such "
            "as package.module:factory"
        )
    imported = ImportedFactory.of(
        name, "model", "function of the shape of one example and the number of classes"
    )
    return partial(_build_imported, imported)


def check_factory(model: object, kind: str) -> None:
    """Refuse a model where what makes one is needed.

    Parameters
    ----------
    model
        What was given.
    kind
        What is needed, in words.

    Raises
    ------
    DataError
        If it is a module, whose weights could not be drawn again, or cannot be called.
    """
    if isinstance(model, nn.Module) or not callable(model):
        raise DataError(
            f"the model is of type {type(model).__name__}; give {kind} that makes one, since "
            "every loss is trained from fresh weights"
        )


def source_files(name: str) -> list[Path]:
    """The code of an import path's module or, if it is in a package, of the package.

    What else that code imports is not among it. Built-in models have none.
    """
    module = None if name in BUILT_IN else sys.modules.get(name.partition(".")[0].partition(":")[0])
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    if folders:
        return sorted(path for folder in folders for path in folder.rglob("*.py"))
    file = getattr(module, "__file__", None)
    return [] if file is None else [Path(file)]


def _build_built_in(name: str, inputs_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    taken, other = (_FEATURES, _IMAGES) if name in _KINDS[_FEATURES] else (_IMAGES, _FEATURES)
    n_dims = 1 if taken is _FEATURES else 3
    if len(inputs_shape) != n_dims or min(inputs_shape) < 1:
        raise DataError(
            f"model {name!r} takes {taken} but one example has shape {inputs_shape}; reshape the "
            f"examples or, for {other}, use one of {', '.join(_KINDS[other])}"
        )
    return _KINDS[taken][name](n_classes, *inputs_shape)


def _build_imported(
    factory: ImportedFactory, inputs_shape: tuple[int, ...], n_classes: int
) -> nn.Module:
    how = f"with the shape of one example and the number of classes, {inputs_shape} and {n_classes}"
    return factory.make(how, inputs_shape, n_classes)


BUILT_IN: Mapping[str, Factory] = MappingProxyType(
    {name: partial(_build_built_in, name) for models in _KINDS.values() for name in models}
)
"""What makes each model that comes with AutoBalance, by the name the command line knows."""
