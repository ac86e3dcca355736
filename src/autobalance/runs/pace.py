"""How long a fit will take, told once its first method is done, and how far it has come."""

from __future__ import annotations

import time

from autobalance.data.wording import amount
from autobalance.runs.watch import Watch
from autobalance.search.result import Evaluation

SEARCH_EVALUATIONS = 20
"""Typical evaluations of the search for the designed loss."""
CLOSED_FORM_EVALUATIONS = 9
"""The like for a closed form, of which only the ridge and at most two slopes are tuned."""
WORTH_SAYING = 5.0
"""Seconds."""
_MINUTE = 60


class Pace:
    """Turns evaluations into shares of the whole job, and the time of the first into its cost.

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
        self._started: float | None = None
        self._told = False

    def passes(self, number: int) -> None:
        """Take how many passes the job has."""
        self._passes = number
        self._watch.stage("Judging what is left out", 0.0)
        self._started = time.perf_counter()

    def passed(self, number: int) -> None:
        """Take how many passes are behind."""
        self._behind, self._within = number, 0
        self._tell_cost()
        self._stage("Judging what is left out", 0)

    def method(self, name: str) -> None:
        """A method starts; what came before it in this pass is done."""
        if self._started is None:
            self._started = time.perf_counter()
        self._tell_cost()
        self._stage(f"Training {name}", self._within)
        self._within += CLOSED_FORM_EVALUATIONS if self._within else SEARCH_EVALUATIONS
        self._searched = 0

    def evaluation(self, evaluation: Evaluation) -> None:
        """The search for the designed loss has evaluated one more candidate."""
        self._searched += 1
        done = min(self._searched, SEARCH_EVALUATIONS)
        self._stage(f"Searching the loss, objective {evaluation.objective:.4g}", done)

    def _stage(self, what: str, done: int) -> None:
        total = self._passes * self._pass
        self._watch.stage(what, min(1.0, (self._behind * self._pass + done) / total))

    def _tell_cost(self) -> None:
        done = self._behind * self._pass + self._within
        if self._told or not done or self._started is None:
            return
        self._told = True
        ahead = (time.perf_counter() - self._started) * (self._passes * self._pass / done - 1)
        if ahead >= WORTH_SAYING:
            self._watch.say(f"The rest will take about {rounded(ahead)}.")


def rounded(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 2 * _MINUTE:
        return f"{5 * max(1, round(seconds / 5))} s"
    return amount(round(seconds / _MINUTE), "minute")
