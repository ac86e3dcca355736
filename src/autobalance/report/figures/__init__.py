"""The figures of the report, drawn with matplotlib's objects (no pyplot, no global state).

Up to :data:`MOST_ROWS` units get a labelled row each; more are drawn by frequency rank. Widths are
in CSS pixels, since the page shows a narrow drawing on phones and a wide one elsewhere.
"""

from autobalance.report.figures.canvas import MOST_ROWS
from autobalance.report.figures.curves import Curve, Reliability, reliability_figure, search_figure
from autobalance.report.figures.marks import Marks, Panel
from autobalance.report.figures.ranks import error_ranks, parameter_ranks
from autobalance.report.figures.rows import (
    Block,
    comparison_figure,
    difference_figure,
    error_blocks,
    error_rows,
    parameter_rows,
)

__all__ = [
    "MOST_ROWS",
    "Block",
    "Curve",
    "Marks",
    "Panel",
    "Reliability",
    "comparison_figure",
    "difference_figure",
    "error_blocks",
    "error_ranks",
    "error_rows",
    "parameter_ranks",
    "parameter_rows",
    "reliability_figure",
    "search_figure",
]
