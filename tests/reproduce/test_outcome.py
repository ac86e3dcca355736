"""Figures as text: means, standard errors and signs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem

from autobalance.reproduce.outcome import Check, mean_and_error, with_error


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6))
def test_the_standard_error_is_scipys(values):
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(np.mean(values))
    assert error == pytest.approx(sem(values), abs=1e-12)


def test_one_value_has_no_standard_error():
    assert mean_and_error([3.5]) == (3.5, None)


@pytest.mark.parametrize(
    ("arguments", "sign", "text"),
    [
        ((12.345,), "", "12.35"),
        ((12.5, 0.25), "", "12.50 ± 0.25"),
        ((12.5, 0.0), "", "12.50 ± 0.00"),
        ((12.5, None), "", "12.50"),
        ((-3.0,), "", "−3.00"),
        ((3.0,), "+", "+3.00"),
        ((-3.0, 1.0), "+", "−3.00 ± 1.00"),
    ],
)
def test_a_figure_with_its_standard_error(arguments, sign, text):
    assert with_error(*arguments, sign=sign) == text


def test_a_check_says_what_was_found():
    assert str(Check("the gap is below 1", True, "0.2")) == "pass: the gap is below 1 (0.2)"
    assert str(Check("the gap is below 1", False, "1.3")) == "FAIL: the gap is below 1 (1.3)"
