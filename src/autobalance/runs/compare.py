"""Several runs side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from autobalance.errors import ArtifactError
from autobalance.report import ComparedRun, render_comparison
from autobalance.runs.report import RunRecord
from autobalance.storage import write_text_atomically


def read_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """Read runs to compare, named after their folders.

    Parameters
    ----------
    folders
        Two or more, all different. Folders of the same name are told apart by their paths.

    Raises
    ------
    ArtifactError, DesignError
        If there are fewer than two, one is named twice, or a run cannot be read.
    """
    if len(folders) < 2:
        raise ArtifactError("a comparison needs at least two runs; name another folder")
    places = [Path(os.path.realpath(folder)) for folder in folders]
    for place, folder in zip(places, folders, strict=True):
        if places.count(place) > 1:
            raise ArtifactError(f"{folder} is named twice; name different runs")
    records = [RunRecord.read(folder) for folder in folders]
    return [
        ComparedRun(name, record.metrics, record.design)
        for name, record in zip(_names(places), records, strict=True)
    ]


def write_comparison(runs: Sequence[ComparedRun], path: Path) -> None:
    """Write the page that compares the runs.

    Parameters
    ----------
    runs
        From :func:`read_runs`.
    path
        An HTML file, which may exist: it is replaced.

    Raises
    ------
    ArtifactError
        If the name is not that of an HTML file, a run is damaged, or the file cannot be written.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ArtifactError(f"{path} is no name for a page; let it end in .html")
    write_text_atomically(path, render_comparison(runs))


def _names(places: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, from one part on, that tell all of them apart."""
    for parts in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-parts:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]
