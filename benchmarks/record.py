"""What every benchmark writes: its rows, the command, the versions and the hardware.

A long benchmark also keeps what is finished beside its record, so that an interrupted run goes on.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from autobalance.storage import write_text_atomically

_PACKAGES = ("autobalance", "torch", "numpy", "scipy", "scikit-learn")


def write_record(path: Path, benchmark: str, rows: list[dict[str, Any]], **facts: Any) -> None:
    """Write ``rows`` with everything needed to rerun them."""
    record = {
        "benchmark": benchmark,
        "command": f"python -m benchmarks.{benchmark} " + " ".join(_without_folders(sys.argv[1:])),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
        },
        **facts,
        "rows": rows,
    }
    write_text_atomically(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


class Parts:
    """Finished parts of a record, each in a file of its own, in a folder beside it.

    Parameters
    ----------
    record
        Where the whole will be written.
    """

    def __init__(self, record: Path) -> None:
        self.folder = record.with_name(f"{record.name}.parts")

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
        """Forget all parts, once the record holds them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def _without_folders(arguments: list[str]) -> list[str]:
    """Arguments with paths cut to their last part: where data lies is nobody's business."""
    return [Path(word).name if "/" in word else word for word in arguments]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
