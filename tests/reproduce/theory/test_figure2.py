"""The run passes, and the claims tell wrong boundaries from right ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from autobalance.reproduce.theory.figure2 import EQUAL, LARGER, REPRODUCTION, checks, find
from autobalance.reproduce.theory.margins import Boundary
from autobalance.reproduce.theory.separable import separable_points

DATA = separable_points(3, 2, 6, 24)


@pytest.fixture(scope="module")
def findings():
    return [
        find(DATA, radii, 3, intercept=intercept)
        for radii in (EQUAL, LARGER)
        for intercept in (True, False)
    ]


def verdicts(findings):
    return [check.passed for check in checks(findings)]


def test_everything_passes(once):
    outcome = once(REPRODUCTION)
    assert [check.passed for check in outcome.checks] == [True] * 3
    assert len(outcome.rows) == 4
    json.dumps(outcome.rows, allow_nan=False)
    (table,) = outcome.tables
    assert all(len(line.cells) == len(table.columns) for line in table.lines)


def test_larger_balls_shift_the_boundary_by_half_the_difference(findings):
    shifted = findings[2]
    lengths = [np.linalg.norm(each.normal) for each in (shifted.ordinary, shifted.found)]
    offsets = [shifted.ordinary.offset / lengths[0], shifted.found.offset / lengths[1]]
    half = (LARGER[0] - LARGER[1]) / 2 * shifted.margin
    assert offsets[1] - offsets[0] == pytest.approx(half)
    assert shifted.growth == pytest.approx((half / shifted.margin, -half / shifted.margin))


def test_through_the_origin_the_boundary_turns(findings):
    assert findings[3].cosine < 0.9999
    assert findings[3].growth[0] > 0


def test_larger_balls_taken_for_equal_ones_fail(findings):
    assert verdicts(findings) == [True, True, True]
    for mistaken in (findings[2], findings[3]):
        wrong = [replace(mistaken, radii=EQUAL), *findings[1:]]
        assert verdicts(wrong) == [False, True, True]


def test_a_boundary_that_turns_or_moves_too_far_fails(findings):
    shifted = findings[2]
    turned = replace(shifted, found=Boundary(shifted.found.normal + np.array([0.2, -0.1])))
    moved = replace(shifted, found=Boundary(shifted.found.normal, shifted.found.offset + 0.01))
    for wrong in (turned, moved):
        assert verdicts([*findings[:2], wrong, findings[3]]) == [True, False, True]


def test_a_minority_that_loses_margin_fails(findings):
    origin = findings[3]
    swapped = replace(origin, ordinary=origin.found, found=origin.ordinary)
    assert verdicts([*findings[:3], swapped]) == [True, True, False]
