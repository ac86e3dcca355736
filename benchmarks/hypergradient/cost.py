"""Time in units of an ordinary training step, measured in turn with it.

On the CPU, seconds are those that the process was given (user and system), so that other processes
count little; on CUDA they pass on the wall, up to the end of the last kernel. Every run of a method
is divided by the mean of the training steps just before and just after it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.hypergradient.cases import Case, training_step
from benchmarks.hypergradient.methods import Method, batches

SECONDS = 40.0
"""Of measurement for each method, within the next two bounds."""
FEWEST, MOST = 2, 20
_STEPS = 3


def costs(case: Case, chosen: dict[str, Method], seconds: float = SECONDS) -> dict[str, Any]:
    """For each method the median cost, its quartiles and the runs behind them."""
    device = next(case.model.parameters()).device
    copied = Case(case.name, copy.deepcopy(case.model).train(), case.train, case.held_out)
    drawn = batches(case, seed=0)
    step = training_step(copied)

    def unit() -> float:
        return float(
            np.median([_seconds(lambda: step(drawn.training[0], 0.0), device) for _ in range(_STEPS)])
        )

    unit()  # what libraries load on first use is on nobody's bill
    runs = {name: _seconds(lambda: method(case, drawn), device) for name, method in chosen.items()}
    left = {name: int(np.clip(seconds / run, FEWEST, MOST)) for name, run in runs.items()}
    ratios: dict[str, list[float]] = {name: [] for name in chosen}
    before = unit()
    while any(left.values()):
        for name, method in chosen.items():
            if left[name]:
                left[name] -= 1
                run = _seconds(lambda: method(case, drawn), device)
                after = unit()
                ratios[name].append(2 * run / (before + after))
                before = after
    return {
        name: {
            "cost": float(np.median(own)),
            "cost_quartiles": [float(q) for q in np.quantile(own, [0.25, 0.75])],
            "runs": len(own),
        }
        for name, own in ratios.items()
    }


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    _wait(device)
    started = clock()
    work()
    _wait(device)
    return clock() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
