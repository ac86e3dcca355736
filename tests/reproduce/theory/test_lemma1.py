"""The run passes, and every claim can fail."""

import json
from dataclasses import replace

import numpy as np
import pytest

from autobalance.reproduce.theory import lemma1
from autobalance.reproduce.theory.lemma1 import REPRODUCTION, checks
from autobalance.reproduce.theory.near_tie import STANDARD
from autobalance.reproduce.theory.tie_scan import find, make_case


@pytest.fixture(scope="module")
def findings():
    return [find(make_case(STANDARD, 4.0, 0.01, pair, 0)) for pair in ((1.0, 0.5), (1.0, 1.0))]


def verdicts(findings):
    return [check.passed for check in checks(findings)]


def test_everything_passes(once, monkeypatch):
    monkeypatch.setattr(lemma1, "_GAMMAS", (4.0,))
    monkeypatch.setattr(lemma1, "_EPSILONS", (0.01,))
    outcome = once(REPRODUCTION)
    assert [check.passed for check in outcome.checks] == [True] * 4
    assert len(outcome.rows) == 2 * 6
    json.dumps(outcome.rows, allow_nan=False)
    (table,) = outcome.tables
    assert all(len(line.cells) == len(table.columns) for line in table.lines)
    (picture,) = outcome.pictures
    for width, across in ((760, 2), (340, 1)):
        figure = picture.draw(width)
        assert len({axes.get_position().x0 for axes in figure.axes}) == across


def test_the_claims_hold_for_these(findings):
    assert verdicts(findings) == [True] * 4


def test_equal_factors_taken_for_distinct_ones_fail(findings):
    equal = findings[1]
    pair = np.array([1.0, 0.5, *equal.case.multiplicative[2:]])
    mistaken = replace(equal, case=replace(equal.case, multiplicative=pair))
    assert verdicts([mistaken, equal])[1:] == [False, False, True]


def test_distinct_factors_taken_for_equal_ones_fail(findings):
    distinct = findings[0]
    ones = np.ones_like(distinct.case.multiplicative)
    mistaken = replace(distinct, case=replace(distinct.case, multiplicative=ones))
    assert verdicts([distinct, mistaken])[1:] == [True, True, False]


def test_scores_that_miss_the_closed_form_fail(findings):
    assert verdicts([replace(findings[0], miss=1e-3), findings[1]])[0] is False


def test_nothing_tried_proves_nothing(findings):
    assert verdicts(findings[:1])[3] is False
    assert verdicts(findings[1:])[1:3] == [False, False]
