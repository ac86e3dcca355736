"""What a figure came from: the command, the versions and the hardware, as a record keeps them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import autobalance

_PACKAGES = (
    "autobalance",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "imbalanced-learn",
    "fairlearn",
    "optuna",
    "smac",
)


def provenance(command: str) -> dict[str, Any]:
    """Command, time, versions and hardware, as plain values."""
    return {
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": hardware(),
    }


def versions_in_use() -> dict[str, str]:
    """What a run's figures depend on most."""
    return {
        "autobalance": autobalance.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def hardware() -> dict[str, Any]:
    """The processor, its cores, the threads that torch takes of them, and a GPU if there is one."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
    }


def without_folders(arguments: Sequence[str]) -> list[str]:
    """Arguments with paths cut to their last part: where data lies is nobody's business."""
    return [_without_folders(word) for word in arguments]


def _without_folders(word: str) -> str:
    option, sign, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return option + sign + (Path(value).name if "/" in value else value)


def _versions() -> dict[str, str]:
    """Of the packages that are here: a machine with a GPU need not have them all."""
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
