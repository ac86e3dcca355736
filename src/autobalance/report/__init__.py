"""Self-contained HTML pages: the report on one run, and runs side by side."""

from autobalance.report.comparison import ComparedRun, render_comparison
from autobalance.report.page import render_report

__all__ = ["ComparedRun", "render_comparison", "render_report"]
