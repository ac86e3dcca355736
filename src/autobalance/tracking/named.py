"""Trackers by the name that the command line knows them by."""

from __future__ import annotations

from autobalance.errors import DataError
from autobalance.tracking.csv_files import CSVTracker
from autobalance.tracking.mlflow import MLflowTracker
from autobalance.tracking.tensorboard import TensorBoardTracker
from autobalance.tracking.tracker import Tracker


def open_tracker(text: str, name: str | None = None, resume: bool = False) -> Tracker:
    """The tracker that a text asks for.

    Parameters
    ----------
    text
        ``csv:FOLDER``, ``tensorboard:FOLDER`` or ``mlflow:URI``.
    name
        Of the run.
    resume
        Whether an interrupted run of that name is gone on with.

    Raises
    ------
    DataError
        If it is none of these, or what it needs is not installed.
    """
    kind, _, where = text.partition(":")
    if where and kind == "csv":
        return CSVTracker(where)
    if where and kind == "tensorboard":
        return TensorBoardTracker(where)
    if where and kind == "mlflow":
        return MLflowTracker(where, name, resume)
    raise DataError(
        f"there is no tracker {text!r}; use csv:FOLDER, tensorboard:FOLDER or mlflow:URI"
    )
