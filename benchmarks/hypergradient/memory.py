"""Peak memory, in units of an ordinary training step's.

It is what a method takes on top of the model and its batches while it runs; for the training step,
gradients are part of it and the optimizer's momentum is not.

On CUDA it is ``torch.cuda.max_memory_allocated`` less what was allocated before. On the CPU every
method has a process of its own, with one thread, whose allocator is told to take every block above
64 KiB from the system and to give it back at once. After a run on a tiny batch, which loads the
libraries, "5" is written to ``/proc/self/clear_refs``; this resets the greatest resident size,
``VmHWM`` in ``/proc/self/status``, and its growth over ``VmRSS`` before the run is the measure.
Where there is no ``/proc`` nothing is measured. Weights and images are random here.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from autobalance.batches import Batch
from benchmarks.hypergradient.cases import Case, training_step, untrained
from benchmarks.hypergradient.methods import TINY, Method, batches, methods

TRAINING_STEP = "training step"
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "OMP_NUM_THREADS": "1",
}
_ROOT = Path(__file__).parents[2]


def peak(name: str, method: str, device: torch.device) -> int | None:
    """Bytes that a method, or the training step, takes at its peak on a network."""
    if device.type == "cuda":
        return _on_cuda(*_runs(untrained(name, device), method))
    if not _CLEAR.exists():
        return None
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hypergradient.memory", name, method],
        cwd=_ROOT,
        env=os.environ | _ALLOCATOR,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stdout)


def main() -> None:
    """Measure one method in this process and print its bytes."""
    torch.set_num_threads(1)
    name, method = sys.argv[1:]
    print(_on_cpu(*_runs(untrained(name, torch.device("cpu")), method)))


def _runs(case: Case, name: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """A tiny run and the one to measure."""
    tiny, full = batches(case, 0, **TINY), batches(case, 0)
    if name == TRAINING_STEP:
        case.model.train()
        step = training_step(case)

        def train(batch: Batch) -> None:
            step(batch, 0.0)
            case.model.zero_grad()

        return lambda: train(tiny.training[0]), lambda: train(full.training[0])
    method: Method = methods(published_step=0.01)[name]
    return lambda: method(case, tiny), lambda: method(case, full)


def _on_cpu(tiny: Callable[[], object], full: Callable[[], object]) -> int:
    tiny()
    gc.collect()
    _CLEAR.write_text("5")
    before = _resident("VmRSS")
    full()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """Bytes, from a line such as ``VmRSS:     1234 kB``."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(f"{_STATUS} has no {field}")


def _on_cuda(tiny: Callable[[], object], full: Callable[[], object]) -> int:
    tiny()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    full()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    main()
