"""Searches for costs: the smooth cost against loops, its derivatives, and what it is worth."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from autobalance.batches import Batch
from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.objectives import Objective
from autobalance.search.constraints import Constraint
from autobalance.search.evidence import paired_gain
from autobalance.search.exact import exact_search
from autobalance.search.heldout import HELD_OUT_LOSSES, HeldOutRisk
from autobalance.search.running_objective import RunningObjective

RNG = np.random.default_rng(0)
Y = np.concatenate([[0, 1, 2], RNG.choice(3, 60, p=[0.6, 0.3, 0.1])])
WEIGHT = RNG.uniform(0.5, 2.0, len(Y))
LOGITS = torch.from_numpy(RNG.normal(size=(len(Y), 3)) + 1.5 * np.eye(3)[Y])
COUNTS = Counts.from_codes(Y, None, ("a", "b", "c"), None, WEIGHT)
MATRIX = np.array([[0.0, 1.0, 4.0], [2.0, 0.5, 6.0], [20.0, 5.0, 1.0]])
UNIT = 1 - np.eye(3)


def costing(matrix, classes="abc"):
    return Objective.parse("cost", costs=Costs.of(matrix, classes))


def held_out(objective, **options):
    return HeldOutRisk(
        torch.from_numpy(Y),
        torch.zeros(len(Y), dtype=torch.long),
        torch.from_numpy(WEIGHT),
        objective.bind(COUNTS),
        sharpness=20.0,
        **options,
    )


def test_the_smooth_cost_is_what_a_decision_drawn_from_the_sharpened_softmax_costs():
    """In units of what the worst decisions would cost beyond the best, on average."""
    risk = held_out(costing(MATRIX), loss="error", profile_temperature=False)
    p = softmax(2 * LOGITS.numpy(), axis=1)
    expected = np.array(
        [sum(p[i, k] * MATRIX[y, k] for k in range(3)) - MATRIX[y].min() for i, y in enumerate(Y)]
    )
    unit = np.average(np.ptp(MATRIX, axis=1)[Y], weights=WEIGHT)
    np.testing.assert_allclose(risk.example_losses(LOGITS), expected / unit, rtol=1e-10)
    value = float(risk(LOGITS).objective)
    assert value == pytest.approx(np.average(expected, weights=WEIGHT) / unit, rel=1e-10)
    certain = risk.example_losses(1e6 * LOGITS)
    decided = MATRIX[Y, LOGITS.numpy().argmax(1)] - MATRIX[Y].min(1)
    np.testing.assert_allclose(certain, decided / unit, atol=1e-12)


def test_its_cross_entropy_bounds_it():
    rest = {"profile_temperature": False}
    smooth = held_out(costing(MATRIX), loss="error", **rest).example_losses(LOGITS)
    bound = held_out(costing(MATRIX), loss="cross-entropy", **rest).example_losses(2 * LOGITS)
    assert bool((bound >= smooth).all())


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
def test_errors_that_cost_the_same_are_the_error(loss):
    cost = held_out(costing(7 * UNIT), loss=loss)
    error = held_out(Objective.parse("error"), loss=loss)
    ours, theirs = cost(LOGITS), error(LOGITS)
    assert float(ours.total) == pytest.approx(float(theirs.total), rel=1e-12)
    assert ours.temperature == pytest.approx(theirs.temperature, rel=1e-9)
    assert cost.variance == pytest.approx(error.variance, rel=1e-12)
    moved = LOGITS + torch.tensor([0.0, 0.2, 0.4], dtype=torch.float64)
    gains = [paired_gain(risk, LOGITS, moved) for risk in (cost, error)]
    assert gains[0].value == pytest.approx(gains[1].value, rel=1e-9)
    assert gains[0].standard_error == pytest.approx(gains[1].standard_error, rel=1e-9)


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
def test_derivative_agrees_with_finite_differences(loss, profile):
    risk = held_out(costing(MATRIX), loss=loss, profile_temperature=profile)
    leaf = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(risk(leaf).total, leaf)
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=LOGITS.shape))
    ahead, behind = (float(risk(LOGITS + s * 1e-5 * direction).total) for s in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
def test_a_class_that_cannot_cost_anything_counts_for_nothing(loss):
    free = MATRIX.copy()
    free[0] = 3.0
    risk = held_out(costing(free), loss=loss)
    leaf = LOGITS.clone().requires_grad_()
    value = risk(leaf)
    (gradient,) = torch.autograd.grad(value.total, leaf)
    assert float(value.risks.detach()[0, 0]) == 0
    assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
def test_beside_a_network_it_is_the_same(loss):
    bound = costing(MATRIX).bind(COUNTS)
    shares = COUNTS.frequencies[:, 0] / np.bincount(Y)
    whole = HeldOutRisk(
        torch.from_numpy(Y),
        torch.zeros(len(Y), dtype=torch.long),
        torch.from_numpy(shares[Y]),
        bound,
        sharpness=20.0,
        loss=loss,
    )
    running = RunningObjective(bound, COUNTS.frequencies, loss=loss, sharpness=20.0, memory=0.0)
    leaves = [LOGITS.clone().requires_grad_() for _ in range(2)]
    values = [
        whole(leaves[0]).objective,
        running(leaves[1], [Batch(None, torch.from_numpy(Y), None)]),
    ]
    slopes = [torch.autograd.grad(*pair)[0] for pair in zip(values, leaves, strict=True)]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-10)
    torch.testing.assert_close(slopes[0], slopes[1])


def test_the_exact_gradient_is_that_of_the_refitted_cost(small_data):
    data = small_data.draw(groups=1)
    space = data.space(parameters=("weight", "additive", "multiplicative", "ridge"))
    problem = data.problem(space, costing(MATRIX, range(3)), held_out_loss="error", shrinkage=1.0)
    rng = np.random.default_rng(1)
    alpha = 0.3 * rng.normal(size=space.dimension)
    _, gradient = problem.value_and_gradient(alpha)
    for direction in (gradient / np.linalg.norm(gradient), rng.choice([-1.0, 1.0], len(alpha))):
        shift = 1e-4 * direction
        ahead, behind = (problem.value_and_gradient(alpha + s * shift)[0] for s in (1, -1))
        assert direction @ gradient == pytest.approx((ahead - behind) / 2e-4, rel=1e-3)


def searched(data, matrix, folds):
    space = data.space(parameters=("weight", "additive"), dictionary="class")
    objective = costing(matrix, range(len(matrix)))
    problem = data.problem(space, objective, folds=folds, held_out_loss="error", shrinkage=1.0)
    return exact_search(problem, tolerance=1e-9)


def test_neither_a_factor_nor_the_order_of_the_classes_matters(small_data):
    data = small_data.draw(rows=150, groups=1)
    matrix, folds = np.round(MATRIX - MATRIX.min(1, keepdims=True), 1), data.folds()
    first, larger = (searched(data, factor * matrix, folds) for factor in (1, 1000))
    np.testing.assert_allclose(larger.design.weight, first.design.weight, rtol=1e-9)
    np.testing.assert_allclose(larger.design.additive, first.design.additive, atol=1e-9)
    assert larger.statistics["gain"] == pytest.approx(first.statistics["gain"], rel=1e-9)
    assert not np.allclose(first.design.additive, first.design.additive[0])

    turned = np.array([2, 0, 1])  # class k becomes turned[k]
    back = np.argsort(turned)
    other = searched(small_data.of(data.x, turned[data.y]), matrix[np.ix_(back, back)], folds)
    assert other.value == pytest.approx(first.value, rel=1e-4)
    np.testing.assert_allclose(other.design.weight[turned], first.design.weight, rtol=0.02)
    np.testing.assert_allclose(other.design.additive[turned], first.design.additive, atol=0.02)


def test_limits_are_not_for_costs():
    with pytest.raises(ObjectiveError, match="limits are for error rates only"):
        Constraint.parse("cost<=0.3")
