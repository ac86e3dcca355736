"""The plan of a search beside a training."""

import re

import pytest

from autobalance.errors import DataError
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.plan import SearchPlan


@pytest.mark.parametrize(
    ("steps", "moves", "warm_up", "first", "every", "made"),
    [
        (2790, 80, 0.4, 1116, 21, 79),
        (100, 10, 0.4, 40, 6, 10),
        (600, 41, 0.4, 240, 9, 40),
        (600, 61, 0.4, 240, 6, 60),
        (600, 80, 0.4, 240, 5, 72),
        (100, 80, 0.4, 40, 5, 12),
        (100, 10, 1.0, 100, 5, 0),
    ],
)
def test_moves_are_spaced_evenly(steps, moves, warm_up, first, every, made):
    plan = SearchPlan(
        moves=moves, warm_up=warm_up, learning_rate=0.2, settings=OnlineSettings(pull=0.5)
    )
    settings = plan.for_steps(steps, ["emphasis"])
    assert (settings.warm_up, settings.every) == (first, every)
    assert (settings.learning_rate, settings.pull) == (0.2, 0.5)
    assert (steps - first) // every == made


@pytest.mark.parametrize(
    ("parameters", "warm_up", "every", "rate"),
    [
        (("emphasis",), 1600, 10, 0.15),
        (("additive", "multiplicative"), 800, 15, 0.05),
        (("emphasis", "multiplicative"), 800, 15, 0.05),
    ],
)
def test_what_is_left_open_follows_from_what_is_searched(parameters, warm_up, every, rate):
    settings = SearchPlan().for_steps(2000, parameters)
    assert (settings.warm_up, settings.every, settings.learning_rate) == (warm_up, every, rate)
    settings = SearchPlan(warm_up=0.5, moves=20, learning_rate=0.2).for_steps(2000, parameters)
    assert (settings.warm_up, settings.every, settings.learning_rate) == (1000, 50, 0.2)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"held_out": 1.0}, "held_out is 1.0; it must be a share between 0 and 1"),
        ({"held_out": 0.0}, "held_out is 0.0"),
        ({"warm_up": 1.5}, "warm_up is 1.5; it must be a share from 0 to 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"moves": 0}, "moves is 0; use a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; use a whole number"),
    ],
    ids=str,
)
def test_plans_that_make_no_sense(plan, message):
    with pytest.raises(DataError, match=re.escape(message)):
        SearchPlan(**plan)
