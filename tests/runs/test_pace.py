import numpy as np
import pytest

from autobalance.runs import pace
from autobalance.runs.pace import Pace
from autobalance.search.result import Evaluation


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


@pytest.mark.parametrize("durations", [[20.0], [1.0] * 20, [18.0, 1.0, 1.0]])
def test_the_cost_comes_from_the_time_of_the_first_method(clock, listener, durations):
    """As many evaluations of 1 s are still to come as 6 closed forms have of 9."""
    run(clock, listener, durations)
    assert listener.said == ["The rest will take about 55 s."]


def test_long_runs_are_told_in_minutes(clock, listener):
    run(clock, listener, [10.0] * 20)
    assert listener.said == ["The rest will take about 9 minutes."]


def test_the_cost_of_passes_that_are_heard_when_done_comes_from_the_first(clock, listener):
    steps = Pace(listener, closed_forms=2)
    steps.passes(3)
    clock[0] += 30.0
    steps.passed(1)
    clock[0] += 70.0
    steps.passed(2)
    assert listener.said == ["The rest will take about 60 s."]


def test_short_runs_are_not_worth_a_word(clock, listener):
    run(clock, listener, [0.01] * 9)
    assert listener.said == []


@pytest.mark.parametrize("evaluations", [1, 20, 60])
def test_the_bar_never_goes_back(clock, listener, evaluations):
    run(clock, listener, [0.01] * evaluations)
    assert listener.shares == sorted(listener.shares)
    assert (listener.shares[0], listener.shares[-1] < 1) == (0.0, True)


@pytest.mark.parametrize("in_turn", [True, False])
def test_the_bar_never_goes_back_over_several_passes(clock, listener, in_turn):
    """Two outer parts, told method by method or only when each is done, then everything."""
    steps = Pace(listener, closed_forms=2)
    steps.passes(3)
    for part in (1, 2, 3):
        for name in ("AutoBalance", "one", "other") if in_turn or part == 3 else ():
            steps.method(name)
            if name == "AutoBalance":
                steps.evaluation(evaluation())
        if part < 3:
            steps.passed(part)
    assert listener.shares == sorted(listener.shares)
    assert listener.shares[0] == 0.0
    assert 2 / 3 < listener.shares[-1] <= 1
