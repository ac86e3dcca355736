import numpy as np
import pytest

from autobalance.runs import pace
from autobalance.runs.pace import Pace
from autobalance.runs.watch import Watch
from autobalance.search.result import Evaluation


class Listener(Watch):
    def __init__(self):
        self.said = []
        self.shares = []

    def say(self, sentence):
        self.said.append(sentence)

    def stage(self, name, share=None):
        self.shares.append(share)


def evaluation():
    nothing = np.zeros((1, 1))
    return Evaluation(np.zeros(0), 0.5, 0.0, nothing, nothing, 0.01, 1.0, 0.0, 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves by hand."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    return now


def run(clock, listener, durations, closed_forms=6):
    steps = Pace(listener, closed_forms)
    steps.method("AutoBalance")
    for duration in durations:
        clock[0] += duration
        steps.evaluation(evaluation())
    for _ in range(closed_forms):
        steps.method("another")


def test_the_cost_comes_from_the_median_of_the_first_evaluations(clock):
    listener = Listener()
    run(clock, listener, [9.0, 1.0, 1.0, 50.0])
    # 20 evaluations and 6 closed forms of 9, less the 3 that were timed, of 1 s each
    assert listener.said == ["This will take about 70 s."]


def test_long_runs_are_told_in_minutes(clock):
    listener = Listener()
    run(clock, listener, [10.0] * 20)
    assert listener.said == ["This will take about 12 minutes."]


def test_a_search_that_ends_at_once_still_tells_the_cost(clock):
    listener = Listener()
    run(clock, listener, [1.0])
    assert len(listener.said) == 1


def test_short_runs_are_not_worth_a_word(clock):
    listener = Listener()
    run(clock, listener, [0.01] * 9)
    assert listener.said == []


@pytest.mark.parametrize("evaluations", [1, 20, 60])
def test_the_bar_never_goes_back(clock, evaluations):
    listener = Listener()
    run(clock, listener, [0.01] * evaluations)
    assert listener.shares == sorted(listener.shares)
    assert (listener.shares[0], listener.shares[-1] < 1) == (0.0, True)
