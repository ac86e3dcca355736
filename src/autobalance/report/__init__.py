"""The report: one self-contained HTML page made from the metrics, the design and the history."""

from autobalance.report.page import render_report

__all__ = ["render_report"]
