"""Every error AutoBalance raises on purpose, in one small tree.

Each message is one sentence that names what is wrong, where, and what to do about it. The command
line prints that sentence and exits with code 2; everything else that escapes is a defect.
"""


class AutoBalanceError(Exception):
    """Base class of all errors raised on purpose."""


class DataError(AutoBalanceError, ValueError):
    """The data handed in cannot be used as it is."""


class DesignError(AutoBalanceError, ValueError):
    """A loss design is damaged, too new, or does not fit the data."""


class ObjectiveError(AutoBalanceError, ValueError):
    """An objective or constraint cannot be read, or the data cannot support it."""


class SearchError(AutoBalanceError, RuntimeError):
    """A search could not reach a usable result."""


class ArtifactError(AutoBalanceError, OSError):
    """A saved model, report or output folder cannot be read or written."""
