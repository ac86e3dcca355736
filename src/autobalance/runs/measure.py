"""What every method gets wrong: on test rows, else on what the outer parts left out.

Without either, the search's own folds are all there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from autobalance.contest.contenders import OURS
from autobalance.contest.recommend import Recommendation
from autobalance.evaluation import Evaluator, measurable_objectives
from autobalance.labels import Label
from autobalance.runs.examples import Examples

TEST_SPLIT = "test split"
HELD_OUT_FOLDS = "held-out folds"


def measure_methods(
    outcome: Recommendation, test: Examples | None, positive_class: Label, seed: int
) -> tuple[str, int, list[dict[str, Any]]]:
    """The basis of the measurement, how many examples it has, and an entry for each method.

    Parameters
    ----------
    outcome
        The contest.
    test
        Rows that played no part in any choice.
    positive_class
        What ``equal-opportunity`` looks at; ``None`` is the last of two classes.
    seed
        Of the bootstrap.
    """
    basis, evaluator, codes = _basis(outcome, test, positive_class, seed)
    entries = []
    for name, head in outcome.heads.items():
        difference = None if name == OURS else evaluator.paired_difference(codes[name], codes[OURS])
        entries.append(
            {
                "name": name,
                "kind": head.kind,
                "ridge": head.design.ridge,
                "seconds": head.seconds,
                "design": {
                    "weight": head.design.weight.tolist(),
                    "additive": head.design.additive.tolist(),
                    "multiplicative": head.design.multiplicative.tolist(),
                },
                "difference": None
                if difference is None
                else {"value": difference.value, "interval": difference.interval},
                **evaluator.evaluate(codes[name]).to_json(),
            }
        )
    return basis, len(evaluator.y), entries


def _basis(
    outcome: Recommendation, test: Examples | None, positive_class: Label, seed: int
) -> tuple[str, Evaluator, dict[str, Integer[ndarray, "N"]]]:
    """Where to measure, and what every method predicts there."""
    bench = outcome.bench
    summary = measurable_objectives(bench.counts, positive_class)
    if test is not None:
        evaluator = Evaluator(
            test.y, test.g, bench.counts, bench.objective, summary, random_state=seed
        )
        codes = {name: head.model.predict(test.features) for name, head in outcome.heads.items()}
        return TEST_SPLIT, evaluator, codes
    if outcome.verdict is not None and outcome.left_out is not None:
        codes = {name: each.codes for name, each in outcome.left_out.contenders.items()}
        return outcome.verdict.basis, outcome.left_out_evaluator(seed, summary), codes
    rows = bench.folds.row
    evaluator = Evaluator(
        bench.y[rows],
        bench.g[rows],
        bench.counts,
        bench.objective,
        summary,
        bench.sample_weight[rows],
        random_state=seed,
    )
    codes = {
        name: np.asarray(head.held_out_logits.argmax(axis=1))
        for name, head in outcome.heads.items()
    }
    return HELD_OUT_FOLDS, evaluator, codes
