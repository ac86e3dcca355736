"""Error rates read as percentages, costs as plain numbers."""

import pytest

from autobalance.report.scale import COSTS, ERROR_RATES, scale_of


def test_the_objective_decides():
    assert scale_of("0.1*error+0.9*balanced") is ERROR_RATES
    assert scale_of("cost") is COSTS


@pytest.mark.parametrize(
    ("value", "text", "difference"),
    [
        (0.1234, "0.123", "+0.123"),
        (-12.34, "−12.3", "−12.3"),
        (1234.5, "1,234", "+1,234"),
        (0.0, "0", "0"),
        (None, "–", "–"),
    ],
)
def test_costs_have_three_digits_and_differences_a_sign(value, text, difference):
    assert COSTS.value(value) == text
    assert COSTS.difference(value) == difference


def test_intervals():
    assert COSTS.interval([0.5, 12.26]) == "0.500–12.3"
    assert COSTS.difference_interval([-0.5, 1.5]) == "−0.500 to +1.50"
    assert COSTS.interval(None) == COSTS.difference_interval(None) == "–"
    assert COSTS.tick(2.5) == "2.5"
    assert [COSTS.difference_tick(value) for value in (0, -3, 3)] == ["0", "−3", "+3"]
