"""What every method gets wrong, measured on test rows if there are any and else on the folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from autobalance.evaluation import Evaluator, measurable_objectives
from autobalance.labels import Label
from autobalance.runs.examples import Examples
from autobalance.workbench import TrainedHead, Workbench

TEST_SPLIT = "test split"
HELD_OUT_FOLDS = "held-out folds"


def measure_methods(
    heads: Sequence[TrainedHead],
    bench: Workbench,
    test: Examples | None,
    positive_class: Label,
    seed: int,
) -> tuple[str, list[dict[str, Any]]]:
    """The basis of the measurement and one entry of the metrics for each method.

    Parameters
    ----------
    heads
        The designed one first: the others are compared with it, pair by pair.
    bench
        Where they were trained.
    test
        Rows that played no part in any choice.
    positive_class
        What ``equal-opportunity`` looks at; ``None`` is the last of two classes.
    seed
        Of the bootstrap.
    """
    rows = bench.folds.row
    evaluator = Evaluator(
        bench.y[rows] if test is None else test.y,
        bench.g[rows] if test is None else test.g,
        bench.counts,
        bench.objective,
        measurable_objectives(bench.counts, positive_class),
        bench.sample_weight[rows] if test is None else None,
        random_state=seed,
    )

    def predicted(head: TrainedHead) -> Integer[ndarray, "N"]:
        if test is None:
            return np.asarray(head.held_out_logits.argmax(axis=1))
        return head.model.predict(test.features)

    ours = predicted(heads[0])
    entries = []
    for head in heads:
        codes = predicted(head)
        difference = None if head is heads[0] else evaluator.paired_difference(codes, ours)
        entries.append(
            {
                "name": head.name,
                "kind": head.kind,
                "ridge": head.design.ridge,
                "seconds": head.seconds,
                "difference": None
                if difference is None
                else {"value": difference.value, "interval": difference.interval},
                **evaluator.evaluate(codes).to_json(),
            }
        )
    return HELD_OUT_FOLDS if test is None else TEST_SPLIT, entries
