"""The figures that the paper publishes, beside which ours are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from autobalance.reproduce.outcome import with_error

_FILE = "published.json"


def published(table: str, method: str, column: str) -> Sequence[float] | None:
    """A published figure in percent, with its standard error where there is one, or ``None``.

    Parameters
    ----------
    table
        Such as ``"table1"``.
    method
        A row by its key.
    column
        A data set, or a metric of tables 3 and 5.
    """
    found: Sequence[float] | None = _read()["tables"][table].get(method, {}).get(column)
    return found


def published_text(table: str, method: str, column: str) -> str:
    """The same as text; empty if there is none."""
    found = published(table, method, column)
    return "" if found is None else with_error(found[0], *found[1:])


def published_cost(optimiser: str) -> dict[str, Any]:
    """Section B.1: the range of ordinary trainings, and the error on CIFAR10-LT."""
    found: dict[str, Any] = _read()["cost"][optimiser]
    return found


@cache
def _read() -> dict[str, Any]:
    text = resources.files("autobalance.reproduce").joinpath(_FILE).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
