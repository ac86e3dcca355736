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


def costs(case: Case, chosen: dict[str, Method], seconds: float = SECONDS) -> dict[str, Any]:
    """For each method the median cost, its quartiles and the number of runs."""
    device = next(case.model.parameters()).device
    training = Case(case.name, copy.deepcopy(case.model).train(), case.train, case.held_out)
    step, drawn = training_step(training), batches(case, seed=0)
    for method in chosen.values():
        method(case, batches(case, seed=0, **TINY))  # libraries load what they need

    def unit() -> float:
        work = partial(step, drawn.training[0], 0.0)
        return float(np.mean([_seconds(work, device) for _ in range(_STEPS)]))

    ratios: dict[str, list[float]] = {name: [] for name in chosen}
    spent = dict.fromkeys(chosen, 0.0)

    def waits(name: str) -> bool:
        runs = len(ratios[name])
        return runs < FEWEST or (runs < MOST and spent[name] < seconds)

    unit()
    before = unit()
    while waiting := [name for name in chosen if waits(name)]:
        for name in waiting:
            run = _seconds(partial(chosen[name], case, drawn), device)
            after = unit()
            ratios[name].append(2 * run / (before + after))
            spent[name] += run
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
