"""Files and folders that the operating system keeps back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autobalance.errors import DataError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What reads ``path`` in this context raises a DataError where it raised an OSError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror or error}); check its permissions"
        ) from error
