import pytest

from autobalance.errors import DataError
from autobalance.objectives import Objective
from autobalance.search.online_settings import OnlineSettings, network_parameters


@pytest.mark.parametrize("left_open", ["auto", ("auto",), ["auto"]])
@pytest.mark.parametrize(
    ("objective", "searched"),
    [
        ("balanced", ("emphasis",)),
        ("error", ("additive", "multiplicative")),
        ("0.5*error+0.5*balanced", ("additive", "multiplicative")),
        ("worst-group", ("additive", "multiplicative")),
    ],
)
def test_what_is_searched_suits_the_objective(left_open, objective, searched):
    assert network_parameters(left_open, Objective.parse(objective)) == searched


def test_what_is_named_is_searched():
    balanced = Objective.parse("balanced")
    assert network_parameters(("weight", "ridge"), balanced) == ("weight", "ridge")
    assert network_parameters("additive", balanced) == ("additive",)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every is 0; use a whole number, at least 1"),
        ({"mode": "both"}, "mode is 'both'; use"),
        ({"held_out_loss": "hinge"}, "held_out_loss is 'hinge'; use"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(DataError, match=message):
        OnlineSettings(**settings)
