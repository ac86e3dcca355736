"""Libraries that only some readers need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from autobalance.errors import DataError


def need(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module
        What to import, such as ``pyarrow.parquet``.
    extra
        The extra of AutoBalance that installs it, such as ``cli``.
    purpose
        What it is needed for, as the error says it.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed; "
            f'pip install "autobalance[{extra}]"'
        ) from error
