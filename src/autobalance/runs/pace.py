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
WORTH_SAYING = 5.0
"""Seconds."""
_MINUTE = 60


class Pace:
    """Turns evaluations into shares of the whole job, and the first few into its cost.

    A job is one or several passes: the designed loss, then every closed form.

    Parameters
    ----------
    watch
        Hears both.
    closed_forms
        How many closed forms follow each search.
    """

    def __init__(self, watch: Watch, closed_forms: int) -> None:
        self._watch = watch
        self._pass = SEARCH_EVALUATIONS + CLOSED_FORM_EVALUATIONS * closed_forms
        self._passes, self._behind = 1, 0
        self._within = 0
        self._last = time.perf_counter()
        self._durations: list[float] = []
        self._told = False

    def passes(self, number: int) -> None:
        """Take how many passes the job has."""
        self._passes = number
        self._watch.stage("Judging what is left out", 0.0)

    def passed(self, number: int) -> None:
        """Take how many passes are behind."""
        self._behind, self._within = number, 0
        self._stage("Judging what is left out", 0)

    def method(self, name: str) -> None:
        """A method starts; what came before it in this pass is done."""
        if self._durations and self._within:
            self._tell_cost()
        self._stage(f"Training {name}", self._within)
        self._within += CLOSED_FORM_EVALUATIONS if self._within else SEARCH_EVALUATIONS
        self._last, self._searched = time.perf_counter(), 0

    def evaluation(self, evaluation: Evaluation) -> None:
        """The search for the designed loss has evaluated one more candidate."""
        now = time.perf_counter()
        self._durations.append(now - self._last)
        self._last = now
        self._searched += 1
        if len(self._durations) == _TIMED:
            self._tell_cost()
        done = min(self._searched, SEARCH_EVALUATIONS)
        self._stage(f"Searching the loss, objective {evaluation.objective:.4g}", done)

    def _stage(self, what: str, done: int) -> None:
        total = self._passes * self._pass
        self._watch.stage(what, min(1.0, (self._behind * self._pass + done) / total))

    def _tell_cost(self) -> None:
        if self._told:
            return
        self._told = True
        # The median leaves out the first evaluation, which also warms up the libraries.
        evaluations = self._passes * self._pass - len(self._durations)
        ahead = statistics.median(self._durations) * evaluations
        if ahead >= WORTH_SAYING:
            self._watch.say(f"This will take about {rounded(ahead)}.")


def rounded(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 2 * _MINUTE:
        return f"{5 * max(1, round(seconds / 5))} s"
    return amount(round(seconds / _MINUTE), "minute")
