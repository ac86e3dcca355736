"""How far a fit of networks has come, and how long the rest takes, counted in trainings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from autobalance.contest.contenders import BASELINE, OURS, ClosedForm
from autobalance.data.wording import amount
from autobalance.runs.pace import WORTH_SAYING, rounded
from autobalance.runs.watch import Watch
from autobalance.search.result import Evaluation

_SEARCH = 3
"""Trainings that a search takes as long as, its moves included."""
_AROUND_A_SEARCH = 3
"""With the start and with the design on the split, and with what is kept on everything."""
_FOR_A_FORM = 2
"""On the split and on everything."""
_FOR_A_STRENGTH = 2
"""Its default is tried already."""


class NetworkPace:
    """Turns trainings into shares of the whole job, and those of cross-entropy into its cost.

    A job is one or several passes: the designed loss, then every closed form.

    Parameters
    ----------
    watch
        Hears both.
    closed_forms
        What is trained after each search, cross-entropy first.
    epochs
        Of a training.
    """

    def __init__(self, watch: Watch, closed_forms: Sequence[ClosedForm], epochs: int) -> None:
        self._watch, self._epochs = watch, epochs
        self._trainings = {OURS: _SEARCH + _AROUND_A_SEARCH} | {
            form.name: _FOR_A_FORM + _FOR_A_STRENGTH * len(form.tuned) for form in closed_forms
        }
        self._pass = sum(self._trainings.values())
        self._passes, self._behind = 1, 0
        self._done, self._searched = 0.0, 0
        self._name = ""
        self._started = time.perf_counter()
        self._told = False

    def passes(self, number: int) -> None:
        """Take how many passes the job has, and say what the further ones are for."""
        self._passes = number
        self._watch.say(
            f"For the verdict, everything is repeated with {amount(number - 1, 'part')} left out, "
            f"which takes about {number} times as long as with --verdict none."
        )

    def passed(self, number: int) -> None:
        """Take how many passes are behind."""
        self._behind, self._done, self._name = number, 0.0, ""
        self._stage("Judging what is left out", 0.0)

    def method(self, name: str) -> None:
        """A method starts; the one before it in this pass is done."""
        self._done += self._trainings.get(self._name, 0)
        if self._name == BASELINE:
            self._tell_rest()
        self._name, self._searched = name, 0
        self._started = time.perf_counter()
        self._stage(f"Training {name}", self._done)

    def evaluation(self, evaluation: Evaluation) -> None:
        """The search for the designed loss is an epoch further, beyond its warm-up."""
        self._searched += 1
        searched = _SEARCH * min(1.0, self._searched / self._epochs)
        self._stage(
            f"Searching the loss, objective {evaluation.objective:.4g}", self._done + searched
        )

    def _stage(self, what: str, done: float) -> None:
        total = self._passes * self._pass
        self._watch.stage(what, min(1.0, (self._behind * self._pass + done) / total))

    def _tell_rest(self) -> None:
        if self._told:
            return
        self._told = True
        one = (time.perf_counter() - self._started) / self._trainings[BASELINE]
        rest = one * ((self._passes - self._behind) * self._pass - self._done)
        if rest >= WORTH_SAYING:
            self._watch.say(f"The rest will take about {rounded(rest)}.")
