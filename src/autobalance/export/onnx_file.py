"""A trained model, its decision and its probabilities as one ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray
from torch import Tensor, nn

from autobalance.data.encoder import TableEncoder
from autobalance.errors import DataError
from autobalance.export.graph import Graph
from autobalance.export.model_graph import (
    PROBABILITIES,
    add_decision,
    add_logits,
    add_module,
    add_probabilities,
)
from autobalance.export.table_graph import add_encoder
from autobalance.fitted import FittedModel
from autobalance.labels import Label, as_label
from autobalance.model import Model
from autobalance.storage import write_bytes_atomically

FEATURES, IMAGES, INPUTS = "features", "images", "inputs"
"""The one input of a model on features, of one on images, and of any other module."""


def export_onnx(
    model: FittedModel | Model | nn.Module,
    path: str | Path,
    *,
    prior: Any = None,
    classes: Sequence[Label] | ndarray | None = None,
    example: Shaped[Tensor, "..."] | None = None,
) -> None:
    """Write a trained model with its decision rule as an ONNX file, in one step.

    The outputs are ``output_label`` and ``output_code``, the class that is decided for and its
    place among the classes, ``output_logits`` and ``output_probability``. Everything but the inside
    of a network is computed in float64, so that a linear head decides as it does in Python.

    Parameters
    ----------
    model
        A fitted :class:`~autobalance.estimators.AutoBalanceClassifier`, the model of a run, or any
        module from inputs to logits, such as ``search_and_retrain(...).model``, in evaluation mode.
    path
        The file.
    prior
        How often the classes occur where the probabilities will be used: ``"train"``,
        ``"balanced"`` or K shares; see ``predict_proba``. With ``None`` (default) they go with the
        decisions. A module has no calibration: its probabilities are the softmax.
    classes
        Of a module: the K labels in the order of its logits.
    example
        Of a module: two inputs or more, of which the shape and the dtype count.

    Raises
    ------
    DataError
        If onnx is not installed, the prior is unknown, a module's classes or example are missing,
        or the exporter cannot translate it.
    ArtifactError
        If the file cannot be written, or a prior is given and the model has no calibration.
    """
    if isinstance(model, nn.Module):
        data = _module_bytes(model, prior, classes, example)
    else:
        if classes is not None or example is not None:
            raise DataError(
                "classes and an example are for modules only; the model knows its own, leave them "
                "out"
            )
        data = onnx_bytes(model.model_ if isinstance(model, FittedModel) else model, prior)
    write_bytes_atomically(Path(path), data)


def onnx_bytes(model: Model, prior: Any = None, encoder: TableEncoder | None = None) -> bytes:
    """The ONNX file of a model.

    Parameters
    ----------
    model
        Of features (N, D), given in float64, or of images (N, C, H, W) of uint8.
    prior
        As in :func:`export_onnx`.
    encoder
        Makes the features of the columns of a table, which are the inputs then.

    Raises
    ------
    DataError, ArtifactError
        As in :func:`export_onnx`, and if a column has the name of another or of an output, or
        the empty text as a category.
    """
    graph = Graph()
    if encoder is not None:
        inputs = add_encoder(graph, encoder)
    elif len(model.shape) == 1:
        inputs = graph.input(FEATURES, np.float64, *model.shape)
    else:
        inputs = graph.input(IMAGES, np.uint8, *model.shape)
    logits = add_logits(graph, model, inputs)
    add_decision(graph, logits, model.classes)
    add_probabilities(graph, model, logits, prior)
    return graph.to_bytes()


def _module_bytes(
    module: nn.Module,
    prior: Any,
    classes: Sequence[Label] | ndarray | None,
    example: Shaped[Tensor, "..."] | None,
) -> bytes:
    if classes is None or example is None or len(example) < 2:
        raise DataError(
            "a module is exported with the labels of its classes and with two or more inputs as "
            "an example; give both"
        )
    if prior is not None:
        raise DataError(
            "a module has no calibration for a prior; leave the prior out, or correct its logits "
            "with autobalance.posthoc"
        )
    if module.training:
        raise DataError("the module is in training mode; call its eval() first")
    module, example = deepcopy(module).cpu(), example.detach().cpu()
    with torch.no_grad():
        shape = tuple(module(example).shape)
    if shape != (len(example), len(classes)):
        raise DataError(
            f"the module makes logits of shape {shape} for {len(example)} inputs and "
            f"{len(classes)} classes; give one label for each of its outputs"
        )
    graph = Graph()
    inputs = graph.input(INPUTS, example.numpy().dtype, *example.shape[1:])
    logits = add_module(graph, module, example, inputs)
    add_decision(graph, logits, tuple(as_label(label) for label in classes))
    graph.output(PROBABILITIES, graph.add("Softmax", logits, axis=1), np.float64, len(classes))
    return graph.to_bytes()
