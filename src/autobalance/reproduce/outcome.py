"""What a reproduction shows: tables, figures and claims that were checked, before they are drawn.

All figures are text by the time they are here, so that the terminal, Markdown and HTML say the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Parameters
    ----------
    cells
        As many as the table has columns.
    headline
        Whether it is the row that the table is about.
    """

    cells: tuple[str, ...]
    headline: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text and figures.

    Parameters
    ----------
    title
        What it compares.
    columns
        Headings; the first column is text and the others are figures.
    lines
        The rows.
    notes
        Sentences below it: what ± is, which rows take part in no comparison.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn for any width.

    Parameters
    ----------
    name
        Part of a file's name.
    caption
        What is to be seen, in a sentence or two.
    description
        The same for those who cannot see it.
    draw
        Makes the figure of a width in CSS pixels, as :mod:`autobalance.report.figures` does.
    """

    name: str
    caption: str
    description: str
    draw: Callable[[int], Figure]


@dataclass(frozen=True)
class Check:
    """A claim that was put to the test.

    Parameters
    ----------
    claim
        The claim, with its tolerance.
    passed
        Whether it holds here.
    found
        The figures that decide it.
    """

    claim: str
    passed: bool
    found: str

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}: {self.claim} ({self.found})"


@dataclass(frozen=True)
class Outcome:
    """Everything that a reproduction has to show.

    Parameters
    ----------
    name
        Of the reproduction, and what its files are called, such as ``table1_cifar10_lt``.
    title
        What it is.
    conditions
        Data variant, model, epochs and the like, by name.
    deviations
        In what the conditions are not the paper's, a sentence each.
    tables, pictures, checks
        What is to be seen.
    rows
        Every single run, or point, as plain values.
    facts
        What else the record keeps, as plain values.
    """

    name: str
    title: str
    conditions: Mapping[str, str]
    deviations: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    checks: tuple[Check, ...] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and its standard error, which one value has not."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None
    return mean, float(np.std(values, ddof=1) / np.sqrt(len(values)))


def with_error(value: float, error: float | None = None, *, sign: str = "") -> str:
    """A figure with its standard error, as far as there is one; ``sign="+"`` for differences."""
    rounded = round(value, 2) + 0.0  # no −0.00
    text = f"{rounded:{sign}.2f}" + ("" if error is None else f" ± {error:.2f}")
    return text.replace("-", "−")
