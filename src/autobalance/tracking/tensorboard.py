"""The course of a run in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autobalance.optional import need

_SHOWN = {".json", ".txt", ".md"}


class TensorBoardTracker:
    """Writes event files; look at them with ``tensorboard --logdir FOLDER``.

    Figures are under ``series/name``, settings and text files in the text tab. TensorBoard keeps no
    other files: of those it shows where they lie.

    Parameters
    ----------
    folder
        Of this run; runs beside each other in one folder are shown together.

    Raises
    ------
    DataError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        need("tensorboard", "tracking", "tracking in TensorBoard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def scalars(self, series: str, step: int, values: Mapping[str, float]) -> None:
        """Write them, whole on disk when this returns."""
        for name, value in values.items():
            self._writer.add_scalar(f"{series}/{name}", value, step)
        self._writer.flush()

    def parameters(self, values: Mapping[str, object]) -> None:
        """Write a table of text."""
        lines = [f"| {name} | {value} |" for name, value in values.items()]
        self._writer.add_text("parameters", "\n".join(["| | |", "|---|---|", *lines]))
        self._writer.flush()

    def artifact(self, path: Path) -> None:
        """Write a text file's content, and of another file where it lies."""
        if path.suffix in _SHOWN:
            text = "\n".join(f"    {line}" for line in path.read_text("utf-8").splitlines())
        else:
            text = str(path.resolve())
        self._writer.add_text(path.name, text)
        self._writer.flush()

    def close(self, finished: bool = True) -> None:
        """Close the event file."""
        self._writer.close()
