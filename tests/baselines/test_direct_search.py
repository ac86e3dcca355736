"""Searches without derivatives: they find minima that are known, within their ranges."""

import numpy as np
import pytest

from autobalance.baselines.direct_search import Strength, compass_search, grid_search


def recording(function):
    """The function with what it was called with."""
    calls = []

    def evaluate(values, kept):
        calls.append((dict(values), kept))
        return function(**values), len(calls)

    return evaluate, calls


STRENGTHS = {"a": Strength(1.0, 4.0, 1e-3, 1e3), "b": Strength(0.0, 1.0, -5.0, 5.0, additive=True)}


@pytest.mark.parametrize(("a", "b"), [(0.2, 1.6), (7.0, -2.3), (900.0, 4.9)])
def test_compass_search_comes_within_its_last_step_of_a_minimum(a, b):
    def bowl(**values):
        return np.log(values["a"] / a) ** 2 + (values["b"] - b) ** 2

    evaluate, calls = recording(bowl)
    best = compass_search(evaluate, STRENGTHS)
    assert abs(np.log(best.values["a"] / a)) <= np.log(4) / 8 + 1e-9
    assert abs(best.values["b"] - b) <= 1 / 8 + 1e-9
    assert best.worth == bowl(**best.values) == min(bowl(**values) for values, _ in calls)
    assert best.evaluations == len(calls) < 45


def test_compass_search_follows_a_valley_that_is_not_along_the_axes():
    def valley(a, b):
        return (np.log(a) - 1.5) ** 2 + (b - 2) ** 2 - (np.log(a) - 1.5) * (b - 2)

    best = compass_search(lambda values, kept: (valley(**values), None), STRENGTHS)
    assert best.worth < 0.05


def test_compass_search_stops_at_the_ends_of_the_range():
    evaluate, calls = recording(lambda a, b: -np.log(a) - b)
    best = compass_search(evaluate, STRENGTHS)
    assert best.values == {"a": 1e3, "b": 5.0}
    assert all(1e-3 <= values["a"] <= 1e3 and abs(values["b"]) <= 5 for values, _ in calls)


def test_compass_search_tries_nothing_twice_and_hands_on_what_was_best():
    evaluate, calls = recording(lambda a, b: np.log(a / 20) ** 2 + abs(b))
    best = compass_search(evaluate, STRENGTHS)
    points = [(round(np.log(values["a"]), 6), round(values["b"], 6)) for values, _ in calls]
    assert len(set(points)) == len(points)
    worths = [np.log(values["a"] / 20) ** 2 + abs(values["b"]) for values, _ in calls]
    assert calls[0][1] is None
    for number, (_, kept) in enumerate(calls[1:], 1):
        assert kept == 1 + int(np.argmin(worths[:number]))
    assert best.kept == 1 + int(np.argmin(worths))


def test_compass_search_passes_over_what_is_not_a_number():
    def broken(a, b):
        return np.nan if a > 1 else np.log(a / 0.1) ** 2 + b**2

    best = compass_search(lambda values, kept: (broken(**values), None), STRENGTHS)
    assert best.values["a"] == pytest.approx(0.1, rel=0.2)


def test_a_fixed_strength_is_never_moved_and_costs_no_evaluation():
    evaluate, calls = recording(lambda a, b: np.log(a / 20) ** 2 + (b - 0.3) ** 2)
    best = compass_search(evaluate, STRENGTHS | {"b": Strength.fixed(0.7)})
    assert {values["b"] for values, _ in calls} == {0.7}
    alone, others = recording(lambda a: np.log(a / 20) ** 2)
    expected = compass_search(alone, {"a": STRENGTHS["a"]})
    assert [values["a"] for values, _ in calls] == [values["a"] for values, _ in others]
    assert best.values == {"a": expected.values["a"], "b": 0.7}
    assert best.evaluations == expected.evaluations == len(calls)


@pytest.mark.parametrize("value", [-3.0, 0.0, 1e-4, 2.5])
def test_where_all_is_fixed_there_is_one_evaluation(value):
    evaluate, calls = recording(lambda a: a)
    best = compass_search(evaluate, {"a": Strength.fixed(value)})
    assert (best.values, best.evaluations, len(calls)) == ({"a": value}, 1, 1)


def test_grid_search_takes_the_first_of_the_best():
    evaluate, calls = recording(lambda a, b: abs(a - 2) * (1 + b))
    best = grid_search(evaluate, {"a": [0.0, 1.0, 2.0, 3.0], "b": (0.0, 1.0)})
    assert best.values == {"a": 2.0, "b": 0.0}
    assert (best.worth, best.evaluations) == (0.0, 8)
    assert [values for values, _ in calls][:3] == [
        {"a": 0.0, "b": 0.0},
        {"a": 0.0, "b": 1.0},
        {"a": 1.0, "b": 0.0},
    ]
