"""An ONNX graph in the making: inputs, constants, operators and outputs, added one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from autobalance import __version__
from autobalance.errors import DataError
from autobalance.optional import need

OPSET = 20
"""Of the standard operators: what PyTorch's exporter writes by itself, too."""
ML_OPSET = 3
"""Of the operators of ``ai.onnx.ml``, which maps texts to numbers."""
IR_VERSION = 10
"""The newest file format that onnxruntime 1.20 reads, the oldest that the extra allows."""
ROWS = "rows"
"""Name of the first dimension, of any size."""

_ML = "ai.onnx.ml"
_OWN = "autobalance/"
_NETWORK = "network/"


class Graph:
    """Operators in the order in which they run; values go by their names.

    Names of our own begin with ``autobalance/`` and those of a network with ``network/``, so that
    columns may be called anything else.

    Raises
    ------
    DataError
        If onnx is not installed.
    """

    def __init__(self) -> None:
        self._onnx = need("onnx", "onnx", "writing an ONNX file")
        self._graph = self._onnx.GraphProto(name="autobalance")

    def input(self, name: str, dtype: DTypeLike, *shape: int) -> str:
        """An input of N rows of a shape; ``object`` is the dtype of texts.

        Raises
        ------
        DataError
            If an input or an output has its name.
        """
        self._graph.input.append(self._value(name, dtype, (ROWS, *shape)))
        return name

    def constant(self, values: ndarray) -> str:
        """An array that the file holds; texts as an array of objects."""
        name = f"{_OWN}constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """An operator on values; gives the name of its result."""
        name = f"{_OWN}{operator}_{len(self._graph.node)}"
        domain = _ML if operator == "LabelEncoder" else ""
        node = self._onnx.helper.make_node(operator, inputs, [name], domain=domain, **attributes)
        self._graph.node.append(node)
        return name

    def add_network(self, network: Any, fed: str) -> str:
        """The operators of another model with one input and one output, after a value.

        What PyTorch's exporter notes beside them, such as lines of source code with the paths of
        their files, stays out.
        """
        inner = self._onnx.compose.add_prefix(network, _NETWORK).graph
        for node in inner.node:
            del node.metadata_props[:]
            node.doc_string = ""
        self._graph.node.append(
            self._onnx.helper.make_node("Identity", [fed], [inner.input[0].name])
        )
        self._graph.node.extend(inner.node)
        self._graph.initializer.extend(inner.initializer)
        return str(inner.output[0].name)

    def cast(self, value: str, dtype: DTypeLike) -> str:
        """The value in another dtype."""
        return self.add("Cast", value, to=self._code(dtype))

    def output(self, name: str, value: str, dtype: DTypeLike, *shape: int) -> None:
        """Name a value as an output of N rows of a shape; raises as :meth:`input` does."""
        self._graph.output.append(self._value(name, dtype, (ROWS, *shape)))
        self._graph.node.append(self._onnx.helper.make_node("Identity", [value], [name]))

    def to_bytes(self) -> bytes:
        """The file.

        Raises
        ------
        DataError
            If it would be larger than 2 GiB, which no ONNX file can be.
        """
        helper = self._onnx.helper
        model = helper.make_model(
            self._graph,
            producer_name="autobalance",
            producer_version=__version__,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, ML_OPSET)],
        )
        if model.ByteSize() > self._onnx.checker.MAXIMUM_PROTOBUF:
            raise DataError("the model is larger than 2 GiB, which an ONNX file cannot be")
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _value(self, name: str, dtype: DTypeLike, shape: Sequence[int | str]) -> Any:
        if name in {each.name for each in (*self._graph.input, *self._graph.output)}:
            raise DataError(
                f"{name!r} is the name of two inputs or outputs of the graph; rename the column "
                "and fit again"
            )
        return self._onnx.helper.make_tensor_value_info(name, self._code(dtype), shape)

    def _code(self, dtype: DTypeLike) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
