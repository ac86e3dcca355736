"""Contests about costs: who takes part, what is only shown, and that the unit does not matter."""

from dataclasses import replace

import numpy as np
import pytest

from autobalance.contest.contenders import DECISION_RULE, LEAST_COST, OF_COSTS, OURS, TUNED_BIAS
from autobalance.contest.procedure import Procedure
from autobalance.contest.recommend import recommend
from autobalance.contest.verdict import judge
from autobalance.costs import Costs
from autobalance.errors import ObjectiveError
from autobalance.objectives import Objective
from autobalance.search.constraints import Constraint
from autobalance.search.settings import SearchSettings

MATRIX = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 6.0], [9.0, 4.0, 0.0]])


def judged(data, factor):
    costs = Costs.of(factor * MATRIX, data.classes)
    settings = SearchSettings(max_evaluations=8)
    procedure = Procedure(Objective.parse("cost", costs=costs), cv=2, settings=settings)
    return recommend(data, procedure, 2, everything=False)


@pytest.fixture(scope="module")
def outcome(make_data):
    return judged(make_data((120, 40, 30)), 1)


def test_closed_forms_of_costs_take_part_and_the_rule_stands_beside_them(outcome):
    standings = {each.name: each for each in outcome.verdict.standings}
    names = [OURS, *(form.name for form in OF_COSTS), TUNED_BIAS, LEAST_COST]
    assert sorted(standings) == sorted(names)
    rule = standings[LEAST_COST]
    assert rule.kind == DECISION_RULE
    y, codes = outcome.bench.y, outcome.left_out.contenders[LEAST_COST].codes
    assert rule.error.value == pytest.approx(MATRIX[y, codes].mean())
    assert rule.error.value < standings["Cross-entropy"].error.value
    assert outcome.verdict.recommended != LEAST_COST != outcome.verdict.best


def test_a_rule_that_costs_nothing_is_still_not_kept(outcome):
    left_out = outcome.left_out
    perfect = left_out.contenders[LEAST_COST]._replace(codes=outcome.bench.y)
    predictions = replace(left_out, contenders={**left_out.contenders, LEAST_COST: perfect})
    verdict = judge(outcome.left_out_evaluator(0), predictions)
    assert (verdict.recommended, verdict.best) == (
        outcome.verdict.recommended,
        outcome.verdict.best,
    )
    assert verdict[LEAST_COST].minus_best.high < 0


def test_the_unit_of_the_costs_changes_neither_design_nor_verdict(outcome, make_data):
    larger = judged(make_data((120, 40, 30)), 1000)
    assert larger.verdict.recommended == outcome.verdict.recommended
    for name, head in outcome.heads.items():
        np.testing.assert_allclose(larger.heads[name].design.weight, head.design.weight, rtol=1e-9)
        assert larger.heads[name].result.status == head.result.status
    for ours, theirs in zip(outcome.verdict.standings, larger.verdict.standings, strict=True):
        assert theirs.error.value == pytest.approx(1000 * ours.error.value)
        assert theirs.distinguishable == ours.distinguishable


def test_limits_on_errors_are_refused(data):
    costs = Costs.of(MATRIX, data.classes)
    limit = Constraint.parse("error<=0.3")
    procedure = Procedure(Objective.parse("cost", costs=costs), constraints=(limit,))
    with pytest.raises(ObjectiveError, match="limits on error rates cannot be kept"):
        procedure.check(data.counts)
