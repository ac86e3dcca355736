"""Where the checkpoints of an interrupted fit lie, and whether they may be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import autobalance
from autobalance.errors import ArtifactError, AutoBalanceError
from autobalance.models.factory import model_factory, source_files
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch
from autobalance.storage import read_json, write_text_atomically
from autobalance.training.checkpoint import Checkpoints

FORMAT = "autobalance-interrupted-fit"
VERSION = 1
_FILE = "fit.json"
COURSE = "course"
"""Folder of what trackers have been told, within that of the checkpoints."""


class RunCheckpoints:
    """A folder beside the one that a fit will write, until it is written.

    Parameters
    ----------
    out
        The folder to write.
    request
        What is asked of the fit, of a network.
    data
        The file or the folder that it is asked of.

    Raises
    ------
    DataError
        If the model that is asked for cannot be found.
    """

    def __init__(self, out: Path, request: FitRequest, data: Path) -> None:
        out = Path(os.path.realpath(out))
        self.folder = out.parent / f"{out.name}.checkpoints"
        self._mark = _mark(request, data)

    @contextmanager
    def for_an_interruption(self, resume: bool, watch: Watch) -> Iterator[Path]:
        """Yield the folder, new or gone on with; it stays only if it may be gone on with later.

        A fit that ends, well or with an error that it would meet again, needs it no more.

        Raises
        ------
        ArtifactError
            If there is an interrupted fit, or one that is running, and ``resume`` is false; if it
            had other settings, data or code; if no fit has made the folder.
        """
        self._begin(resume, watch)
        try:
            yield self.folder
        except BaseException as error:
            again = isinstance(error, AutoBalanceError) and not isinstance(error, ArtifactError)
            saved = next(self.folder.rglob("*.checkpoint"), None)
            if again or saved is None:  # an ArtifactError is a full disk, say
                self._remove()
            elif isinstance(error, KeyboardInterrupt):
                watch.say(
                    f"Interrupted: repeat the command with --resume to go on; see {self.folder}."
                )
            raise
        self._remove()

    def _begin(self, resume: bool, watch: Watch) -> None:
        path = self.folder / _FILE
        if not path.exists() and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ArtifactError(
                f"checkpoints are kept in {self.folder}, which holds files but no {_FILE} of a "
                "fit; move it, or name another folder to write"
            )
        if not path.exists():
            if resume:
                watch.say("There is no interrupted fit to resume; this one starts anew.")
            self.folder.mkdir(parents=True, exist_ok=True)
            document = {"format": FORMAT, "version": VERSION, "mark": self._mark}
            write_text_atomically(path, json.dumps(document) + "\n")
            return
        if not resume:
            raise ArtifactError(
                f"{self.folder} holds a fit that was interrupted, or is running; add --resume to "
                "go on with it, or remove the folder"
            )
        if _mark_in(path) != self._mark:
            raise ArtifactError(
                f"{self.folder} holds a fit with other settings, other data, or another version of "
                "AutoBalance or of the model's code; repeat what was interrupted, or remove the "
                "folder"
            )
        watch.say(f"Going on with the fit in {self.folder}.")

    def _remove(self) -> None:
        """Delete what is ours, the mark last: without it the rest would be nobody's."""
        with suppress(OSError):
            for folder, _, _ in os.walk(self.folder, topdown=False):
                Checkpoints(Path(folder)).clear()
            shutil.rmtree(self.folder / COURSE, ignore_errors=True)
            (self.folder / _FILE).unlink()
            self.folder.rmdir()


def _mark(request: FitRequest, data: Path) -> str:
    """Tells fits apart that cannot go on from each other's checkpoints.

    Of the files in a folder the names and sizes do: checkpoints know the inputs by their pixels.
    """
    asked = replace(request, jobs=1)  # how many at once changes nothing
    digest = hashlib.sha256(f"{autobalance.__version__} {asked!r}".encode())
    files = [data]
    if data.is_dir():
        files = []
        for path in sorted(data.rglob("*")):
            digest.update(f"{path.relative_to(data)} {path.stat().st_size}".encode())
    if Path(request.start).is_file():  # a design; what is missing is reported by whoever reads it
        files.append(Path(request.start))
    if request.model is not None:
        model_factory(request.model)
        files += source_files(request.model)
    for path in files:
        with open(path, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _mark_in(path: Path) -> object:
    text = path.read_text(encoding="utf-8", errors="replace")
    return read_json(text, str(path), FORMAT, VERSION, ArtifactError).get("mark")
