"""Judge the contenders on what they have not seen, and train the one to keep on everything."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from autobalance.bench import Bench, TrainedHead
from autobalance.contest.contenders import OURS, train_all
from autobalance.contest.outer import OuterPredictions, outer_folds, predict_left_out
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.contest.verdict import Verdict, judge
from autobalance.errors import DataError, ObjectiveError
from autobalance.evaluation import Evaluator
from autobalance.network_bench import NetworkBench, OnEpoch, ignore_epoch
from autobalance.objectives import BoundObjective
from autobalance.search.result import Evaluation
from autobalance.search.settings import AUTO

logger = logging.getLogger(__name__)

WITHOUT_VERDICT = "no verdict was asked for"


def _ignore(_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Listener:
    """Who hears how far the work is.

    Parameters
    ----------
    passes
        Called with the number of passes ahead: one for each outer part, and one for everything.
    evaluated, starting
        See :func:`~autobalance.contest.contenders.train_all`.
    passed
        Called with the number of passes that are behind.
    searched
        Called with every evaluation of a linear head's search on all examples.
    trained
        Called with the phase and the network's training after every epoch on all examples that
        designs the loss, or trains with it.
    """

    passes: Callable[[int], None] = _ignore
    evaluated: Callable[[Evaluation], None] = _ignore
    starting: Callable[[str], None] = _ignore
    passed: Callable[[int], None] = _ignore
    searched: Callable[[Evaluation], None] = _ignore
    trained: OnEpoch = ignore_epoch


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Trained contenders and which of them to keep.

    Parameters
    ----------
    bench
        Where they were trained, on all examples.
    heads
        By name, the designed loss first.
    left_out
        Predictions of the outer parts, ``None`` without a verdict.
    verdict
        ``None`` if there is none; ``note`` then says why.
    """

    bench: Bench
    heads: dict[str, TrainedHead]
    left_out: OuterPredictions | None
    verdict: Verdict | None
    note: str = ""

    @property
    def kept(self) -> TrainedHead:
        """The recommended head; without a verdict the designed one."""
        return self.heads[OURS if self.verdict is None else self.verdict.recommended]

    def left_out_evaluator(
        self, seed: int, summary: dict[str, BoundObjective] | None = None
    ) -> Evaluator:
        """Measures predictions for the examples that the outer parts left out."""
        if self.left_out is None:
            raise DataError("nothing was left out; ask for a verdict")
        return _evaluator(self.bench, self.left_out, seed, summary)


def recommend(
    data: TrainingData,
    procedure: Procedure,
    verdict: str | int | float | None = AUTO,
    *,
    everything: bool = True,
    n_jobs: int | None = None,
    listener: Listener | None = None,
) -> Recommendation:
    """Hold the contest on outer parts, then train on all examples.

    Parameters
    ----------
    data
        All the examples.
    procedure
        How a loss is designed.
    verdict
        Outer folds, a share to leave untouched, ``"auto"`` or ``None``; see
        :func:`~autobalance.contest.outer.outer_folds`. With ``"auto"`` a class that is too rare to
        be left out means no verdict; asked for explicitly, it is an error.
    everything
        Whether to train every contender on all examples, or only the designed loss and the
        recommended one.
    n_jobs
        Outer parts at once.
    listener
        Hears how far the work is.

    Raises
    ------
    AutoBalanceError
        If the data, the objective or the start do not go together; the message says how.
    """
    listener = listener or Listener()
    procedure.check(data.counts)
    objective = procedure.objective.bind(data.counts, procedure.empty_cells)
    left_out, reached, note = None, None, WITHOUT_VERDICT
    if verdict is not None:
        try:
            outer = outer_folds(data, objective, procedure.cv, verdict, procedure.seed)
            listener.passes(len(outer) + 1)
            left_out = predict_left_out(
                data,
                procedure,
                outer,
                n_jobs=n_jobs,
                evaluated=listener.evaluated,
                starting=listener.starting,
                judged=listener.passed,
            )
        except (DataError, ObjectiveError) as error:
            if verdict != AUTO:
                raise
            note = f"no part is left out for a verdict: {error}"
            logger.warning(note)
    bench = procedure.bench(data)  # not before: it holds another copy of the features
    if isinstance(bench, NetworkBench):
        bench.on_epoch = listener.trained
    if left_out is not None:
        reached, note = judge(_evaluator(bench, left_out, procedure.seed or 0), left_out), ""
    kept = OURS if reached is None else reached.recommended
    wanted = None if everything else {OURS, kept}

    def evaluated(evaluation: Evaluation) -> None:
        listener.evaluated(evaluation)
        if not isinstance(bench, NetworkBench):
            listener.searched(evaluation)

    heads = {
        head.name: head
        for head in train_all(bench, procedure.space, evaluated, listener.starting, wanted)
    }
    heads[kept] = bench.calibrated(heads[kept])
    return Recommendation(bench, heads, left_out, reached, note)


def _evaluator(
    bench: Bench,
    left_out: OuterPredictions,
    seed: int,
    summary: dict[str, BoundObjective] | None = None,
) -> Evaluator:
    rows = left_out.row
    return Evaluator(
        bench.y[rows],
        bench.g[rows],
        bench.counts,
        bench.objective,
        summary or {},
        sample_weight=bench.sample_weight[rows],
        random_state=seed,
    )
