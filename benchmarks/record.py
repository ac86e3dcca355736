"""What every benchmark writes: its rows, the command, the versions and the hardware.

A long benchmark also keeps what is finished beside its record, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import autobalance
from autobalance.provenance import provenance, without_folders
from autobalance.storage import write_text_atomically


def write_record(path: Path, benchmark: str, rows: list[dict[str, Any]], **facts: Any) -> None:
    """Write ``rows`` with everything needed to rerun them."""
    command = f"python -m benchmarks.{benchmark} " + " ".join(without_folders(sys.argv[1:]))
    record = {"benchmark": benchmark, **provenance(command), **facts, "rows": rows}
    write_text_atomically(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


class Parts:
    """Finished parts of a record, each in a file of its own, in a folder beside it.

    The folder bears a mark of the code: parts that another state of the library or of the
    benchmarks has computed do not count. Parts that take days, on machines that are lent for hours,
    are marked by their settings instead: whoever changes what they do removes them.

    Parameters
    ----------
    record
        Where the whole will be written.
    settings
        What every part depends on beside its key, in the place of the code.
    """

    def __init__(self, record: Path, settings: dict[str, Any] | None = None) -> None:
        self._record = record
        mark = _mark_of_the_code() if settings is None else _mark_of(settings)
        self.folder = record.with_name(f"{record.name}.{mark}.parts")

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def read(self, key: str) -> Any:
        """The part that :meth:`write` kept under this key."""
        return json.loads(self._path(key).read_text(encoding="utf-8"))

    def write(self, key: str, part: Any) -> None:
        """Keep a part, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self._path(key), json.dumps(part, allow_nan=False))

    def remove(self) -> None:
        """Forget all parts, also those of other code, once the record is written."""
        for folder in self._record.parent.glob(f"{self._record.name}.*.parts"):
            shutil.rmtree(folder)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def _mark_of_the_code() -> str:
    digest = hashlib.sha256()
    for folder in (Path(autobalance.__file__).parent, Path(__file__).parent):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _mark_of(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
