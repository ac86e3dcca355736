"""AutoBalance in other libraries' training loops, one module a library.

Import the module of the library that you have: :mod:`~autobalance.integrations.lightning`,
:mod:`~autobalance.integrations.huggingface` or :mod:`~autobalance.integrations.skorch`.
"""

from __future__ import annotations

from autobalance.errors import DataError


class MissingLibraryError(DataError, ImportError):
    """The library that a module is for cannot be imported."""

    def __init__(self, library: str, extra: str, cause: Exception) -> None:
        reason = str(cause).partition("\n")[0] or type(cause).__name__
        super().__init__(
            f"autobalance.integrations.{extra} needs {library}, which cannot be imported "
            f'({reason}); pip install "autobalance[{extra}]"'
        )
