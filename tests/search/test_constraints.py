"""Constraints: their text, their penalty, and a search that keeps them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autobalance import AutoBalanceClassifier, ObjectiveError
from autobalance.counts import Counts
from autobalance.objectives import OBJECTIVES
from autobalance.search.constraints import AugmentedLagrangian, Constraint

COUNTS = Counts(np.array([[30.0, 10.0], [20.0, 40.0]]), ("a", "b"), ("x", "y"))
FREQUENCIES = torch.from_numpy(COUNTS.frequencies.copy())


@given(st.sampled_from(OBJECTIVES), st.floats(0, 1e6))
def test_text_round_trips(name, limit):
    constraint = Constraint.parse(f"{name} <= {limit!r}")
    assert constraint.limit == limit
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text", ["error", "error<0.3", "error<=", "<=0.3", "error<=-1", "error<=nan", "eror<=0.3"]
)
def test_other_text_is_refused(text):
    with pytest.raises(ObjectiveError):
        Constraint.parse(text)


def test_penalty_is_the_augmented_lagrangian():
    risks = torch.tensor([[0.2, 0.9], [0.4, 0.5]], dtype=torch.float64)
    lagrangian = AugmentedLagrangian([Constraint.parse("group-balanced<=0.3").bind(COUNTS)], 20.0)
    excess = 0.5 - 0.3
    assert lagrangian.violation(risks, FREQUENCIES) == pytest.approx(excess)
    assert float(lagrangian.term(risks, FREQUENCIES)) == pytest.approx(0.5 * 10 * excess**2)
    lagrangian.update(risks, FREQUENCIES)  # λ = ρ h; the first round counts as progress
    multiplier, penalty = 10 * excess, 10.0
    expected = 0.5 * penalty * ((excess + multiplier / penalty) ** 2 - (multiplier / penalty) ** 2)
    assert float(lagrangian.term(risks, FREQUENCIES)) == pytest.approx(expected)
    # far inside the limit the penalty is constant, so that it bends nothing
    inside = torch.full((2, 2), 0.01, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(lagrangian.term(inside, FREQUENCIES), inside)
    assert not slope.any()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    y = (rng.random(800) < 0.15).astype(int)
    X = rng.normal(size=(800, 4))
    X[:, 0] += 1.3 * y
    return X, y


def test_a_search_keeps_its_constraint(data):
    X, y = data
    settings = {"random_state": 0, "cv": 3, "shrinkage": 0.0, "verdict": None}
    free = AutoBalanceClassifier("balanced", **settings).fit(X, y)
    start = AutoBalanceClassifier("error", start="cross-entropy", **settings).fit(X, y)

    def plain_risk(model):
        counts = model.design_.counts
        return float((counts.frequencies * model.result_.best.risks).sum())

    limit = 0.5 * (plain_risk(free) + plain_risk(start))
    held = AutoBalanceClassifier("balanced", constraints=(f"error<={limit}",), **settings).fit(X, y)
    assert plain_risk(free) > limit + 0.01
    assert plain_risk(held) <= limit + 2e-3
    assert free.result_.value < held.result_.value


def test_an_impossible_constraint_is_said(data):
    X, y = data
    model = AutoBalanceClassifier(
        "balanced",
        constraints=("error<=0.001",),
        random_state=0,
        cv=3,
        max_evaluations=400,
        verdict=None,
    ).fit(X, y)
    assert model.result_.status == "infeasible"
    assert "loosen" in model.result_.message
