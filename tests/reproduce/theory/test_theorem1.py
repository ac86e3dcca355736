"""The run passes, and every claim can fail."""

from dataclasses import replace

import numpy as np
import pytest

from autobalance.reproduce.theory import theorem1, validation
from autobalance.reproduce.theory.theorem1 import REPRODUCTION, checks, growth_exponent
from autobalance.reproduce.theory.validation import SIZES, Finding, hoeffding

ROOT = 1 / np.sqrt(np.array(SIZES))[:, None]


def made_up(dimension=1, objectives=1, scale=0.5, draws=20):
    deviation = scale * ROOT * np.ones(draws)
    return Finding(dimension, objectives, deviation, deviation)


def verdicts(*findings):
    return [check.passed for check in checks(findings)]


def test_everything_passes(once, monkeypatch):
    for module in (theorem1, validation):
        monkeypatch.setattr(module, "COVER", 128)
    outcome = once(REPRODUCTION)
    assert [check.passed for check in outcome.checks] == [True] * 3
    assert len(outcome.rows) == 16 * len(SIZES)
    for table in outcome.tables:
        assert len(table.lines) == 4
        assert all(len(line.cells) == len(table.columns) for line in table.lines)
    assert outcome.facts["growth_exponent"] > 0.2
    (picture,) = outcome.pictures
    for width, across in ((760, 2), (340, 1)):
        figure = picture.draw(width)
        assert len({axes.get_position().x0 for axes in figure.axes}) == across


def test_a_deviation_that_falls_as_it_should_passes():
    assert made_up().slope == pytest.approx(-0.5)
    assert verdicts(made_up()) == [True, True, True]


def test_a_deviation_that_does_not_fall_fails():
    steady = replace(made_up(), deviation=np.full((len(SIZES), 20), 1e-3))
    steady = replace(steady, excess=0 * steady.deviation)
    assert verdicts(made_up(), steady) == [False, True, True]


def test_one_draw_of_too_large_an_excess_fails():
    finding = made_up()
    excess = finding.excess.copy()
    excess[3, 7] = 2.01 * finding.deviation[3, 7]
    assert verdicts(made_up(), replace(finding, excess=excess)) == [True, False, True]


def test_too_many_draws_above_the_bound_fail():
    finding = made_up(draws=100)
    for above, passed in ((5, True), (6, False)):
        deviation = finding.deviation.copy()
        deviation[:, :above] = 1.01 * hoeffding(1)[:, None]
        assert verdicts(replace(finding, deviation=deviation))[2] is passed


def test_the_growth_exponent_is_that_of_the_sum():
    findings = [made_up(h, r, scale=(h + r) ** 0.5) for h in (1, 2, 8) for r in (1, 4)]
    assert growth_exponent(findings) == pytest.approx(0.5)
