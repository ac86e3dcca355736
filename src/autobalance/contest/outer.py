"""What every contender predicts for examples that played no part in designing or tuning it.

The folds that chose a loss flatter it, so each contender's whole procedure is repeated on outer
training parts and judged on what was left out: k outer folds, after which every example has been
left out once, or one untouched part where that would cost too much and has examples enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from autobalance.calibration import TRAIN
from autobalance.contest.contenders import BASELINE, DECISION_RULE, LEAST_COST, train_all
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.errors import DataError
from autobalance.jobs import each_finished, one_by_one
from autobalance.objectives import BoundObjective
from autobalance.posthoc import least_expected_cost
from autobalance.ranks import current_ranks
from autobalance.search.folds import Folds
from autobalance.search.result import Evaluation
from autobalance.search.settings import AUTO

OUTER_FOLDS = 5
UNTOUCHED_SHARE = 0.25
AFFORDABLE = 2_000_000
"""Size N (D + 1) K of a problem up to which ``"auto"`` takes outer folds: a minute or two on a
laptop. By size and not by the clock, so that the same data get the same verdict everywhere."""
ENOUGH_TO_JUDGE = 100
"""Examples of the rarest cell that an untouched part must hold for ``"auto"`` to take it: an error
of 15% is then known to 4 points, and with fewer most differences drown."""
_FEWEST_TO_SEARCH = 2


class Contender(NamedTuple):
    """One contender's predictions: codes (M,), kind, and numbers fitted beside the ridge."""

    codes: Integer[ndarray, "M"]
    kind: str
    fitted: int


@dataclass(frozen=True, eq=False)
class OuterPredictions:
    """Predictions for examples left out, each example once.

    Parameters
    ----------
    row
        Shape (M,), ascending: which examples.
    contenders
        By name, the designed loss first.
    parts
        How many outer training parts there were; 1 is one untouched part.
    """

    row: Integer[ndarray, "M"]
    contenders: dict[str, Contender]
    parts: int


def outer_folds(
    data: TrainingData,
    objective: BoundObjective,
    cv: Any,
    how: str | int | float,
    seed: int | None,
) -> Folds:
    """Who is left out when: by a number of folds, a share, or ``"auto"``.

    A splitter or a list of pairs in ``cv`` knows which examples belong together, so it makes the
    outer folds too, whatever ``how`` says.

    Parameters
    ----------
    data, objective
        All the examples, and what they are judged by.
    cv
        How held-out data is taken within them.
    how
        A whole number of folds, a share between 0 and 1, or ``"auto"``.
    seed
        Of the folds.

    Raises
    ------
    DataError
        If ``how`` is none of these, or a class is too rare to be left out and still searched.
    """
    if how == AUTO:
        how = _folds_or_share(data, objective)
    if isinstance(how, (str, bool)):
        raise DataError(f"verdict is {how!r}; use 'auto', a number of folds, a share or None")
    by_count = isinstance(cv, (int, float, np.integer))
    folds = data.folds(how if by_count else cv, seed)
    for train in folds.train if by_count else ():
        left = np.bincount(data.y[train], minlength=len(data.classes))
        rarest = int(left.argmin())
        if left[rarest] < _FEWEST_TO_SEARCH:
            raise DataError(
                f"{data.counts.class_name(rarest)} has too few examples to leave some out and "
                "search on the rest; it needs at least 3"
            )
    return folds


def _folds_or_share(data: TrainingData, objective: BoundObjective) -> int | float:
    """A number of outer folds, or a share of large data that have rare cells to spare.

    For images it is the share or nothing: five more folds of a network on images would take six
    times what the fit takes, which nobody should get unasked.
    """
    shape = objective.present.shape
    examples = np.bincount(data.cell, minlength=objective.present.size).reshape(shape)
    untouched = UNTOUCHED_SHARE * objective.rarest_cell(examples)
    if data.of_images and untouched < ENOUGH_TO_JUDGE:
        raise DataError(
            f"an untouched {UNTOUCHED_SHARE:.0%} of the images would hold {untouched:.0f} of the "
            f"rarest kind, and outer folds of a network on images take long; ask for either "
            f"with --verdict {UNTOUCHED_SHARE} or --verdict {OUTER_FOLDS}"
        )
    size = len(data) * (data.features.shape[1] + 1) * len(data.classes)
    small = size <= AFFORDABLE and not data.of_images
    return OUTER_FOLDS if small or untouched < ENOUGH_TO_JUDGE else UNTOUCHED_SHARE


def predict_left_out(
    data: TrainingData,
    procedure: Procedure,
    outer: Folds,
    *,
    n_jobs: int | None = None,
    evaluated: Callable[[Evaluation], None] = lambda _: None,
    starting: Callable[[str], None] = lambda _: None,
    judged: Callable[[int], None] = lambda _: None,
) -> OuterPredictions:
    """Repeat every contender's procedure on each outer part and predict what it leaves out.

    Parameters
    ----------
    data, procedure, outer
        The examples, how a loss is designed, and who is left out when.
    n_jobs
        Outer parts at once; see :func:`~autobalance.jobs.each_finished`.
    evaluated, starting
        Called as in :func:`~autobalance.contest.contenders.train_all`, if parts are not handled
        at once.
    judged
        Called with the number of parts done.

    Raises
    ------
    DataError
        If parts should be handled at once by ranks that share each of them.
    """
    parts = len(outer)
    alone = one_by_one(n_jobs)
    if current_ranks().size > 1 and not alone:
        raise DataError(
            "several ranks already share every fit: leave n_jobs (--jobs) out under torchrun"
        )
    listeners = (evaluated, starting) if alone else ()
    arguments = ((data, procedure, outer, part, *listeners) for part in range(parts))
    finished: dict[int, dict[str, Contender]] = {}
    for part, result in each_finished(_predict, arguments, n_jobs):
        finished[part] = result
        judged(len(finished))
    done = [finished[part] for part in range(parts)]
    # Parts are concatenated in order; a splitter may leave an example out more than once.
    rows = np.concatenate([outer.row[outer.fold == part] for part in range(parts)])
    row, first = np.unique(rows, return_index=True)
    return OuterPredictions(
        row,
        {
            name: Contender(
                np.concatenate([each[name].codes for each in done])[first],
                contender.kind,
                max(each[name].fitted for each in done),
            )
            for name, contender in done[0].items()
        },
        parts,
    )


def _predict(
    data: TrainingData,
    procedure: Procedure,
    outer: Folds,
    part: int,
    evaluated: Callable[[Evaluation], None] = lambda _: None,
    starting: Callable[[str], None] = lambda _: None,
) -> dict[str, Contender]:
    """All contenders on one outer part, and the rule for costs beside them."""
    train = np.flatnonzero(outer.train[part])
    inner = procedure.on_part(_cv_within(procedure.cv, train, len(data)), part)
    bench = inner.bench(data.part(train))
    left_out = data.features[outer.row[outer.fold == part]]
    heads = {head.name: head for head in train_all(bench, inner.space, evaluated, starting)}
    contenders = {
        name: Contender(head.model.predict(left_out), head.kind, head.fitted)
        for name, head in heads.items()
    }
    costs = bench.objective.costs
    if costs is not None:
        model = bench.calibrated(heads[BASELINE]).model
        codes = least_expected_cost(model.probabilities(left_out, TRAIN), costs.matrix)
        contenders[LEAST_COST] = Contender(codes, DECISION_RULE, 2 * len(costs.matrix))
    return contenders


def _cv_within(cv: Any, train: Integer[ndarray, "M"], size: int) -> Any:
    """Held-out data within a part: given pairs of positions are cut down to it."""
    if isinstance(cv, (int, float, np.integer)) or hasattr(cv, "split"):
        return cv
    place = np.full(size, -1)
    place[train] = np.arange(len(train))
    positions = np.arange(size)
    pairs = [[place[positions[np.asarray(side)]] for side in pair] for pair in cv]
    within = [[side[side >= 0] for side in pair] for pair in pairs]
    return [pair for pair in within if all(len(side) for side in pair)]
