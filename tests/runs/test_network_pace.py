import numpy as np
import pytest

from autobalance.contest.contenders import BASELINE, OURS, closed_forms
from autobalance.runs import network_pace
from autobalance.runs.network_pace import NetworkPace
from autobalance.search.result import Evaluation

FORMS = closed_forms(2)
NAMES = [OURS, *(form.name for form in FORMS)]


def evaluation():
    nothing = np.zeros((1, 1))
    return Evaluation(np.zeros(0), 0.5, 0.0, nothing, nothing, 0.01, 1.0, 0.0, 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves by hand."""
    now = [0.0]
    monkeypatch.setattr(network_pace.time, "perf_counter", lambda: now[0])
    return now


def one_pass(clock, pace, seconds_of_a_training):
    for name in NAMES:
        pace.method(name)
        if name == OURS:
            for _ in range(3):
                pace.evaluation(evaluation())
        if name == BASELINE:
            clock[0] += 2 * seconds_of_a_training


def test_the_rest_follows_from_the_trainings_with_cross_entropy(clock, listener):
    one_pass(clock, NetworkPace(listener, FORMS, epochs=3), 10.0)
    # weights 2, logit adjustment 4, group-balanced 2, group-LA 2 and group-VS 6, of 10 s each
    assert listener.said == ["The rest will take about 3 minutes."]


def test_further_passes_are_announced_and_count(clock, listener):
    pace = NetworkPace(listener, FORMS, epochs=3)
    pace.passes(2)
    assert "with 1 part left out" in listener.said[0]
    assert "2 times as long as with --verdict none" in listener.said[0]
    one_pass(clock, pace, 10.0)
    assert listener.said[1:] == ["The rest will take about 7 minutes."]  # 16 and 24 trainings
    pace.passed(1)
    one_pass(clock, pace, 10.0)
    assert len(listener.said) == 2


def test_short_runs_are_not_worth_a_word(clock, listener):
    one_pass(clock, NetworkPace(listener, FORMS, epochs=3), 0.01)
    assert listener.said == []


@pytest.mark.parametrize("in_turn", [True, False])
def test_the_bar_never_goes_back(clock, listener, in_turn):
    """Two outer parts, told method by method or only when each is done, then everything."""
    pace = NetworkPace(listener, FORMS, epochs=2)
    pace.passes(3)
    for part in (1, 2, 3):
        if in_turn or part == 3:
            one_pass(clock, pace, 1.0)
        if part < 3:
            pace.passed(part)
    assert listener.shares == sorted(listener.shares)
    assert 2 / 3 < listener.shares[-1] <= 1
