"""What a designed loss and a trained model become elsewhere: a table of numbers, an ONNX file."""

from autobalance.export.agreement import Agreement, agreement
from autobalance.export.loss_table import example_weights, loss_table, portable_as
from autobalance.export.onnx_file import export_onnx, onnx_bytes
from autobalance.export.table_graph import table_feeds

__all__ = [
    "Agreement",
    "agreement",
    "example_weights",
    "export_onnx",
    "loss_table",
    "onnx_bytes",
    "portable_as",
    "table_feeds",
]
