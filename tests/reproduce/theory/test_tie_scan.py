"""A case's room and its decisions against the formula, and against a wrong construction."""

from dataclasses import replace

import numpy as np
import pytest

from autobalance.reproduce.theory.near_tie import BALANCED, STANDARD, near_tie
from autobalance.reproduce.theory.population import closed_form
from autobalance.reproduce.theory.tie_scan import find, make_case

GAMMA, EPSILON = 4.0, 0.01


@pytest.mark.parametrize("objective", [STANDARD, BALANCED])
@pytest.mark.parametrize("pair", [(1.0, 0.5), (0.5, 1.0)])
def test_distinct_factors_leave_the_room_of_the_formula(objective, pair):
    case = make_case(objective, GAMMA, EPSILON, pair, seed=1)
    finding = find(case)
    points = case.distribution.weighted(case.weight)[:2, :2]
    ratio = points[:, 0] ** (1 / pair[0]) / points[:, 1] ** (1 / pair[1])
    first = case.distribution.first_is_right.index(True)
    assert finding.room == pytest.approx(np.log(ratio[first] / ratio[1 - first]), abs=1e-5)
    assert finding.room < 0
    assert max(finding.right) == 1


@pytest.mark.parametrize("objective", [STANDARD, BALANCED])
def test_equal_factors_are_right_in_the_middle_and_wrong_outside(objective):
    finding = find(make_case(objective, GAMMA, EPSILON, (0.5, 0.5), seed=1))
    tie = 2 / 0.5 * np.log((1 + EPSILON) / (1 - EPSILON))
    assert finding.room == pytest.approx(tie, abs=1e-5)
    assert finding.right[-1] == 2
    assert finding.right[0] == finding.right[-2] == 1


def test_logit_adjustment_is_the_consistent_choice_for_the_balanced_error():
    case = make_case(BALANCED, GAMMA, EPSILON, (1.0, 1.0), seed=0)
    plain = replace(case, weight=np.ones_like(case.weight))
    prior = case.distribution.mass @ case.distribution.likelihood
    np.testing.assert_allclose(plain.consistent, np.log(prior))


def test_the_other_signs_leave_room_for_distinct_factors():
    case = make_case(STANDARD, GAMMA, EPSILON, (1.0, 0.5), seed=0)
    friendly = near_tie(STANDARD, GAMMA, EPSILON, 0.1, 0.1, upper=False)
    finding = find(replace(case, distribution=friendly))
    assert finding.room > 0
    assert max(finding.right) == 2


def test_exactly_scaled_likelihoods_leave_room_for_distinct_factors():
    # as appendix D is printed: ε = Γ ε', so that class 1 is right at both points
    likelihood = np.array([[0.44, 0.40, 0.16], [0.22, 0.20, 0.58]])
    likelihood = np.hstack([likelihood[:, :2], np.repeat(likelihood[:, 2:] / 8, 8, axis=1)])
    delta = np.array([[1.0, 0.5, *np.ones(8)]])
    additive = np.array([[-3.0, *np.zeros(9)]])
    (scores,) = closed_form(likelihood, additive, delta)
    assert list(scores.argmax(1)) == list(likelihood.argmax(1)) == [0, 0]


def test_the_row_is_plain():
    row = find(make_case(STANDARD, GAMMA, EPSILON, (1.0, 0.5), seed=0)).row
    assert row["delta"] == [1.0, 0.5]
    assert len(row["steps"]) == len(row["gaps"]) == len(row["right"])
