"""Time in units of an ordinary training step, measured in turn with it.

On the CPU, seconds are those that the process was given (user and system), so that other processes
count little; on CUDA they pass on the wall, up to the end of the last kernel. Every run of a method
is divided by the mean of the training steps just before and just after it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.hypergradient.cases import Case, training_step
from benchmarks.hypergradient.methods import TINY, Method, batches

SECONDS = 30.0
"""Of measurement for each method, within the next two bounds."""
FEWEST, MOST = 2, 20
_STEPS = 2


def cost(case: Case, method: Method, seconds: float = SECONDS) -> dict[str, Any]:
    """The median cost of a method, its quartiles and the number of runs."""
    device = next(case.model.parameters()).device
    training = Case(case.name, copy.deepcopy(case.model).train(), case.train, case.held_out)
    step, drawn = training_step(training), batches(case, seed=0)

    def unit() -> float:
        work = partial(step, drawn.training[0], 0.0)
        return float(np.mean([_seconds(work, device) for _ in range(_STEPS)]))

    unit()  # libraries load what they need, in the next call too
    method(case, batches(case, seed=0, **TINY))
    ratios: list[float] = []
    spent, before = 0.0, unit()
    while len(ratios) < FEWEST or (len(ratios) < MOST and spent < seconds):
        run = _seconds(partial(method, case, drawn), device)
        after = unit()
        ratios.append(2 * run / (before + after))
        spent, before = spent + run, after
    return {
        "cost": float(np.median(ratios)),
        "cost_quartiles": [float(q) for q in np.quantile(ratios, [0.25, 0.75])],
        "runs": len(ratios),
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
