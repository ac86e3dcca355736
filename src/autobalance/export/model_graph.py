"""A trained model as operators: logits, the decision, its label and the probabilities."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray
from torch import Tensor, nn

from autobalance.errors import ArtifactError, DataError
from autobalance.export.graph import OPSET, ROWS, Graph
from autobalance.labels import Label, label_text
from autobalance.model import LinearModel, Model
from autobalance.models.imported import told
from autobalance.network_model import NetworkModel
from autobalance.optional import need

LABEL, CODE = "output_label", "output_code"
LOGITS, PROBABILITIES = "output_logits", "output_probability"
_PLAIN = ({int}, {float}, {bool})
_EXAMPLES = 2  # for 1 the exporter would take the size for a fixed one


def example_of(model: NetworkModel) -> Tensor:
    """Two examples as a network of features or of images takes them."""
    dtype = torch.float64 if len(model.shape) == 1 else torch.uint8
    return torch.zeros((_EXAMPLES, *model.shape), dtype=dtype)


def add_logits(graph: Graph, model: Model, inputs: str) -> str:
    """Logits in float64. A linear head computes in float64, a network as it was trained."""
    if isinstance(model, LinearModel):
        product = graph.add("MatMul", inputs, graph.constant(np.ascontiguousarray(model.coef.T)))
        return graph.add("Add", product, graph.constant(model.intercept))
    assert isinstance(model, NetworkModel)
    logits = add_module(graph, model.module, example_of(model), inputs)
    return graph.add("Add", logits, graph.constant(model.bias))


def add_module(graph: Graph, module: nn.Module, example: Shaped[Tensor, "..."], inputs: str) -> str:
    """The outputs of a module in float64, as PyTorch's exporter translates it.

    Raises
    ------
    DataError
        If it cannot be translated, or onnxscript is missing.
    """
    need("onnxscript", "onnx", "exporting a network")
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim(ROWS)},),
                verbose=False,
            )
    except Exception as error:
        raise DataError(
            f"the network {type(module).__name__} cannot be exported ({told(error)}); leave out "
            "of its forward pass what depends on values or changes the batch"
        ) from error
    assert program is not None  # it is with dynamo
    proto: Any = program.model_proto
    if len(proto.graph.input) != 1 or len(proto.graph.output) != 1:
        raise DataError(
            f"the network {type(module).__name__} has {len(proto.graph.input)} inputs and "
            f"{len(proto.graph.output)} outputs; let it take one tensor and return logits"
        )
    outputs = graph.add_network(proto, inputs)
    return graph.cast(outputs, np.float64)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what PyTorch's exporter says of itself: deprecations, and optional libraries."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def add_decision(graph: Graph, logits: str, classes: Sequence[Label]) -> None:
    """The largest logit decides, of equal ones the first, as everywhere in AutoBalance.

    Labels that are all whole numbers, all numbers or all true and false stay that, others become
    their texts.
    """
    code = graph.add("ArgMax", logits, axis=1, keepdims=0)
    labels = class_labels(classes)
    label = graph.add("Gather", graph.constant(labels), code, axis=0)
    graph.output(LABEL, label, labels.dtype)
    graph.output(CODE, code, np.int64)
    graph.output(LOGITS, logits, np.float64, len(classes))


def class_labels(classes: Sequence[Label]) -> Shaped[ndarray, "K"]:
    """The labels as an array that ONNX can hold."""
    if {type(label) for label in classes} in _PLAIN:
        return np.array(classes)
    return np.array([label_text(label) for label in classes], dtype=object)


def add_probabilities(graph: Graph, model: Model, logits: str, prior: Any) -> None:
    """What :meth:`Model.probabilities <autobalance.model.Model.probabilities>` gives.

    Raises
    ------
    DataError
        If the prior is unknown.
    ArtifactError
        If a prior is given and the model is too old to have a calibration.
    """
    if prior is None:
        scores = graph.add("Div", logits, graph.constant(np.array(model.temperature)))
    else:
        if model.calibration is None:
            raise ArtifactError(
                "the model was saved before AutoBalance calibrated for a prior; fit it again, or "
                "leave the prior out"
            )
        fitted = model.calibration.for_prior(prior)
        shifted = graph.add("Add", logits, graph.constant(fitted.shift))
        stretched = graph.add(
            "Mul", graph.add("LogSoftmax", shifted, axis=1), graph.constant(fitted.slope)
        )
        scores = graph.add("Add", stretched, graph.constant(fitted.bias))
    graph.output(
        PROBABILITIES, graph.add("Softmax", scores, axis=1), np.float64, len(model.classes)
    )
