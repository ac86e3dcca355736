"""How long a fit will take, told from its first evaluations, and how far it has come."""

from __future__ import annotations

import statistics
import time

from autobalance.data.wording import amount
from autobalance.runs.watch import Watch
from autobalance.search.result import Evaluation

SEARCH_EVALUATIONS = 20
"""Typical evaluations of the search for the designed loss."""
CLOSED_FORM_EVALUATIONS = 9
"""The like for a closed form, of which only the ridge and at most two slopes are tuned."""
_TIMED = 3
_WORTH_SAYING = 5.0
_MINUTE = 60


class Pace:
    """Turns evaluations into shares of the whole job, and the first few into its cost.

    Parameters
    ----------
    watch
        Hears both.
    closed_forms
        How many closed forms follow the search.
    """

    def __init__(self, watch: Watch, closed_forms: int) -> None:
        self._watch = watch
        self._total = SEARCH_EVALUATIONS + CLOSED_FORM_EVALUATIONS * closed_forms
        self._ends = 0
        self._started = self._last = time.perf_counter()
        self._durations: list[float] = []
        self._told = False

    def method(self, name: str) -> None:
        """A method starts; what came before it is done."""
        if self._durations:
            self._tell_cost()
        behind = self._ends / self._total
        self._ends += CLOSED_FORM_EVALUATIONS if self._ends else SEARCH_EVALUATIONS
        self._watch.stage(f"Training {name}", behind)

    def evaluation(self, evaluation: Evaluation) -> None:
        """The search for the designed loss has evaluated one more candidate."""
        now = time.perf_counter()
        self._durations.append(now - self._last)
        self._last = now
        if len(self._durations) == _TIMED:
            self._tell_cost()
        done = min(len(self._durations), SEARCH_EVALUATIONS)
        self._watch.stage(
            f"Searching the loss, objective {evaluation.objective:.4g}", done / self._total
        )

    def _tell_cost(self) -> None:
        if self._told:
            return
        self._told = True
        # The median leaves out the first evaluation, which also warms up the libraries.
        ahead = statistics.median(self._durations) * (self._total - len(self._durations))
        if ahead >= _WORTH_SAYING:
            self._watch.say(f"This will take about {_rounded(ahead)}.")


def _rounded(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{5 * max(1, round(seconds / 5))} s"
    return amount(round(seconds / _MINUTE), "minute")
