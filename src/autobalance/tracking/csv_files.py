"""The course of a run as CSV files, one for each series, whole after every line."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

from autobalance.errors import ArtifactError
from autobalance.rows import csv_line
from autobalance.storage import write_text_atomically

_STEP = "step"


class CSVTracker:
    """Appends every step to the file of its series, ``moves.csv`` for ``"moves"``.

    A folder that holds files of an interrupted run is gone on with: a line that was cut off is
    dropped. The settings of a run go to ``parameters.csv``, files beside them.

    Parameters
    ----------
    folder
        Made as needed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._columns: dict[str, list[str]] = {}

    def last(self, series: str) -> int | None:
        """The last step of a series that is on disk, if any.

        Raises
        ------
        ArtifactError, OSError
            If the file holds something else, or cannot be read.
        """
        path = self._path(series)
        if not path.exists():
            return None
        lines = self._whole_lines(path)
        if not lines:
            return None
        self._columns[series] = lines[0]
        heads = [line[:1] for line in lines]
        if heads[0] != [_STEP] or not all("".join(head).isdecimal() for head in heads[1:]):
            raise ArtifactError(f"{path} is no table of steps; name another folder")
        return int(lines[-1][0]) if len(lines) > 1 else None

    def scalars(self, series: str, step: int, values: Mapping[str, float]) -> None:
        """Append a line.

        Raises
        ------
        ArtifactError
            If the file has other columns.
        OSError
            If it cannot be written.
        """
        path = self._path(series)
        if series not in self._columns:
            self.last(series)
        text = csv_line([step, *values.values()])
        columns = [_STEP, *values]
        if self._columns.setdefault(series, columns) != columns:
            raise ArtifactError(f"{path} has other columns than this run; name another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", newline="") as stream:
            stream.write(text if stream.tell() else csv_line(columns) + text)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Write them as a table of names and values, beside those written before."""
        path = self._path("parameters")
        self.folder.mkdir(parents=True, exist_ok=True)
        known = dict(self._whole_lines(path)) if path.exists() else {}
        lines = known | {name: str(value) for name, value in values.items()}
        write_text_atomically(path, "".join(csv_line(line) for line in lines.items()))

    def artifact(self, path: Path) -> None:
        """Keep a copy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.folder / path.name)

    def close(self, finished: bool = True) -> None:
        """Everything is on disk already."""

    def _path(self, series: str) -> Path:
        return self.folder / f"{series}.csv"

    @staticmethod
    def _whole_lines(path: Path) -> list[list[str]]:
        """The lines of a file, from which one that was cut off is taken away."""
        with open(path, encoding="utf-8", newline="") as stream:
            text = stream.read()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        if text and (not text.endswith("\n") or text.count('"') % 2):
            lines.pop()
            write_text_atomically(path, "".join(map(csv_line, lines)))
        return lines
