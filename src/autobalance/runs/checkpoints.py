"""Where the checkpoints of an interrupted fit lie, and whether they may be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autobalance.errors import ArtifactError, AutoBalanceError
from autobalance.runs.fit import FitRequest
from autobalance.runs.watch import Watch
from autobalance.storage import read_json, write_text_atomically

FORMAT = "autobalance-interrupted-fit"
VERSION = 1
_FILE = "fit.json"


class RunCheckpoints:
    """A folder beside the one that a fit will write, until it is written.

    Parameters
    ----------
    out
        The folder to write.
    request
        What is asked of the fit.
    table
        The file that it is asked of.
    """

    def __init__(self, out: Path, request: FitRequest, table: Path) -> None:
        self.folder = out.with_name(f"{out.name}.checkpoints")
        digest = hashlib.sha256(repr(request).encode())
        with open(table, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
        self._mark = digest.hexdigest()

    def begin(self, resume: bool, watch: Watch) -> None:
        """Make the folder, or go on with the one that is there if that is asked.

        Raises
        ------
        ArtifactError
            If there is an interrupted fit and ``resume`` is false, or it had other settings or
            another table.
        """
        path = self.folder / _FILE
        if not path.exists():
            if resume:
                watch.say("There is no interrupted fit to resume; this one starts anew.")
            self.folder.mkdir(parents=True, exist_ok=True)
            document = {"format": FORMAT, "version": VERSION, "mark": self._mark}
            write_text_atomically(path, json.dumps(document) + "\n")
            return
        if not resume:
            raise ArtifactError(
                f"{self.folder} holds an interrupted fit; add --resume to go on with it, or remove "
                "the folder"
            )
        text = path.read_text(encoding="utf-8", errors="replace")
        if read_json(text, str(path), FORMAT, VERSION, ArtifactError).get("mark") != self._mark:
            raise ArtifactError(
                f"{self.folder} holds a fit with other settings or another table; repeat the "
                "command that was interrupted, or remove the folder"
            )
        watch.say(f"Going on with the fit in {self.folder}.")

    @contextmanager
    def for_an_interruption(self, watch: Watch) -> Iterator[Path]:
        """Yield the folder; it stays only if what happens within may be gone on with.

        A fit that ends, well or with an error that it would meet again, needs it no more.
        """
        try:
            yield self.folder
        except ArtifactError:
            raise  # a full disk, say
        except AutoBalanceError:
            self._remove()
            raise
        except KeyboardInterrupt:
            watch.say(f"Interrupted: repeat the command with --resume to go on; see {self.folder}.")
            raise
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
