"""From the hooks of searches and trainings to trackers: every figure once, and no run lost."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.provenance import versions_in_use
from autobalance.ranks import current_ranks
from autobalance.rows import Row, by_cell
from autobalance.search.online import OnlineSearch
from autobalance.search.result import Evaluation, SearchResult
from autobalance.tracking.csv_files import CSVTracker
from autobalance.tracking.tracker import Tracker
from autobalance.training.loop import Epoch, Training

EVALUATIONS, MOVES, MEASURED = "evaluations", "moves", "measured"
DESIGN_FILE = "design.json"
_MOST = 200
"""Figures of a step that every tracker gets; beyond, those of single cells go to CSV files only."""


class Course:
    """Tells trackers what happens in one run.

    A tracker that fails is left out from then on, with one warning: the run goes on. As a context
    manager it closes the trackers at the end. Of several ranks (:mod:`autobalance.ranks`) the first
    one tells.

    Parameters
    ----------
    trackers
        Who hears of it.
    folder
        Also write CSV files there, which remember what was told: a run that goes on after an
        interruption tells nobody anything twice. With none, everything that this object has not
        told yet is new.
    """

    def __init__(self, trackers: Sequence[Tracker] = (), folder: str | Path | None = None) -> None:
        first = current_ranks().first
        self._files = CSVTracker(folder) if folder is not None and first else None
        self._trackers: list[Tracker] = [self._files] if self._files else []
        self._trackers += trackers if first else ()
        self._last: dict[str, int] = {}
        self._evaluations, self._best = 0, float("inf")

    def evaluation(self, evaluation: Evaluation, counts: Counts) -> None:
        """Tell of the next evaluation of an exact search, as its ``progress`` gives it."""
        self._evaluations += 1
        self._best = min(self._best, evaluation.objective)
        self._add(EVALUATIONS, self._evaluations, evaluation.row(self._best, counts))

    def search_result(self, result: SearchResult) -> None:
        """Tell of all evaluations of a search that is over."""
        for evaluation in result.history:
            self.evaluation(evaluation, result.design.counts)

    def moves(self, search: OnlineSearch) -> None:
        """Tell of the moves that a search beside a training has made."""
        told = self._after(MOVES)
        new = [number for number, move in enumerate(search.history) if move.iteration > told]
        for row in search.history_rows(new[0]) if new else ():
            iteration = int(row.pop("iteration"))
            self._add(MOVES, iteration, row)

    def training(self, phase: str, training: Training) -> None:
        """Tell of the epochs that a training has done, and of the moves of the search beside it."""
        search = training.search
        if search is not None:
            self.moves(search)
        counts = None if search is None else search.space.counts
        for epoch in training.history:
            if epoch.number > self._after(phase):
                self._add(phase, epoch.number, _epoch_row(epoch, counts))

    def parameters(self, values: Mapping[str, object]) -> None:
        """Tell of settings, to which the versions in use are added."""
        told = {
            **values,
            **{f"version of {name}": each for name, each in versions_in_use().items()},
        }
        self._each(lambda tracker: tracker.parameters(told))

    def measured(self, values: Mapping[str, float]) -> None:
        """Tell of the errors in the end, on test data if there are any."""
        self._add(MEASURED, 1, values)

    def design(self, design: LossDesign) -> None:
        """Tell of the designed loss, as a file."""

        def tell(tracker: Tracker) -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, DESIGN_FILE)
                design.save(path)
                tracker.artifact(path)

        self._each(tell)

    def artifact(self, path: Path) -> None:
        """Tell of a file."""
        self._each(lambda tracker: tracker.artifact(path))

    def __enter__(self) -> Course:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._each(lambda tracker: tracker.close(kind is None))

    def _after(self, series: str) -> int:
        """The last step of a series that was told, perhaps before an interruption."""
        if series not in self._last:
            self._last[series] = 0
            files = self._files
            if files in self._trackers:
                self._try(files, lambda _: self._last.update({series: files.last(series) or 0}))
        return self._last[series]

    def _add(self, series: str, step: int, values: Mapping[str, float]) -> None:
        if step <= self._after(series):
            return
        self._last[series] = step
        short = values
        if len(values) > _MOST:
            short = {name: value for name, value in values.items() if "[" not in name}
        self._each(
            lambda tracker: tracker.scalars(
                series, step, values if isinstance(tracker, CSVTracker) else short
            )
        )

    def _each(self, tell: Callable[[Tracker], Any]) -> None:
        for tracker in list(self._trackers):
            self._try(tracker, tell)

    def _try(self, tracker: Tracker, tell: Callable[[Tracker], Any]) -> None:
        try:
            tell(tracker)
        except Exception as error:
            self._trackers.remove(tracker)
            warnings.warn(
                f"the run goes on without its {type(tracker).__name__}, which failed: "
                f"{error or type(error).__name__}",
                stacklevel=4,
            )


def _epoch_row(epoch: Epoch, counts: Counts | None) -> Row:
    row = {"learning_rate": epoch.learning_rate, "train_loss": epoch.train_loss}
    if epoch.cell_errors is not None and counts is not None:
        row |= by_cell("error", np.array(epoch.cell_errors), counts)
    return row
