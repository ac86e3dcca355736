"""The exact search: its gradient against finite differences of the refitted objective, its runs."""

import numpy as np
import pytest
import torch

from autobalance.errors import ObjectiveError
from autobalance.objectives import Objective
from autobalance.search.constraints import Constraint
from autobalance.search.exact import exact_search
from autobalance.search.heldout import HELD_OUT_LOSSES
from autobalance.space import LOSS_PARAMETERS

OBJECTIVES_WITHOUT_GROUPS = ("error", "balanced", "worst-class")
OBJECTIVES_WITH_GROUPS = (
    *OBJECTIVES_WITHOUT_GROUPS,
    "group-balanced",
    "worst-group",
    "equal-opportunity",
    "equalized-odds",
    "0.1*error+0.9*equalized-odds",
)
PARAMETERS = (*LOSS_PARAMETERS, "ridge")
DICTIONARIES = ("class", "cluster:2", "rank:2", "log-prior")
CELL_DICTIONARIES = ("cell", "cell-cluster:4", "cell-rank:3", "cell-log-prior")
SUBSETS = (
    *((name,) for name in PARAMETERS),
    tuple(name for name in PARAMETERS if name != "emphasis"),
)


def assert_gradient_is_right(problem, directions="some", seed=1):
    """Compare with central differences at a random point, along the gradient and at random."""
    rng = np.random.default_rng(seed)
    size = problem.space.dimension
    alpha = 0.3 * rng.normal(size=size)
    _, gradient = problem.value_and_gradient(alpha)
    length = np.linalg.norm(gradient)
    assert length > 1e-4
    chosen = {
        "some": [gradient / length, rng.choice([-1, 1], size) / np.sqrt(size)],
        "every entry": np.eye(size),
    }
    for direction in chosen[directions]:
        shift = 1e-4 * direction
        ahead, behind = (problem.value_and_gradient(alpha + s * shift)[0] for s in (1, -1))
        expected = (ahead - behind) / 2e-4
        allowed = 1e-4 * max(abs(expected), length / size)
        assert direction @ gradient == pytest.approx(expected, rel=0, abs=allowed)


@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
@pytest.mark.parametrize("parameters", SUBSETS, ids="+".join)
@pytest.mark.parametrize("dictionary", [*DICTIONARIES, *CELL_DICTIONARIES])
def test_gradient_for_every_parameter_dictionary_and_parametrisation(
    small_data, dictionary, parameters, parametrisation
):
    data = small_data.draw(groups=2)
    space = data.space(
        "group-vs", parameters=parameters, dictionary=dictionary, parametrisation=parametrisation
    )
    assert_gradient_is_right(data.problem(space, "group-balanced"))


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
@pytest.mark.parametrize("objective", OBJECTIVES_WITH_GROUPS)
def test_gradient_for_every_objective_with_groups(small_data, objective, profile, loss):
    data = small_data.draw(groups=2)
    space = data.space("group-la", dictionary="cell-log-prior")
    options = {"profile_temperature": profile, "held_out_loss": loss}
    problem = data.problem(space, objective, positive_class=2, **options)
    assert_gradient_is_right(problem)


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
@pytest.mark.parametrize("objective", OBJECTIVES_WITHOUT_GROUPS)
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_gradient_without_groups(small_data, dictionary, objective, profile, loss):
    data = small_data.draw(groups=1)
    space = data.space("weighted", dictionary=dictionary)
    options = {"profile_temperature": profile, "held_out_loss": loss}
    assert_gradient_is_right(data.problem(space, objective, **options))


@pytest.mark.parametrize("weighted", [True, False], ids=["sample weights", "unweighted"])
@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
@pytest.mark.parametrize("cv", [3, 0.4])
def test_every_entry_of_the_gradient_with_weights_shrinkage_and_splits(
    small_data, cv, shrinkage, weighted
):
    data = small_data.draw(groups=2, rows=90, weighted=weighted)
    space = data.space("group-la", dictionary="class")
    problem = data.problem(space, "group-balanced", folds=data.folds(cv), shrinkage=shrinkage)
    assert_gradient_is_right(problem, "every entry")


@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
@pytest.mark.parametrize("parameters", SUBSETS, ids="+".join)
def test_gradient_without_groups_for_every_parameter(small_data, parameters, parametrisation):
    data = small_data.draw(groups=1)
    space = data.space("vs", parameters=parameters, parametrisation=parametrisation)
    assert_gradient_is_right(data.problem(space, "balanced"))


def test_gradient_under_a_constraint(small_data):
    data = small_data.draw(groups=2)
    constraint = Constraint.parse("error<=0.2").bind(data.counts)
    problem = data.problem(data.space("group-la"), "worst-group", constraints=[constraint])
    problem.value_and_gradient(np.zeros(problem.space.dimension))
    assert problem.history[-1].violation > 0.1
    assert_gradient_is_right(problem)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_at_the_default_tolerances(small_data, dtype):
    """What the search runs on, where a product of δ and intercept is nearly free in training."""
    data = small_data.draw(groups=1, rows=300)
    options = {"tolerance": 1e-4, "hypergradient_tolerance": 1e-3, "curvature_dtype": dtype}
    space = data.space("cdt", dictionary="class")
    rough = data.problem(space, features=data.features(dtype), **options)
    exact = data.problem(space)
    rng = np.random.default_rng(0)
    for _ in range(3):
        alpha = 0.5 * rng.normal(size=space.dimension)
        value, slope = rough.value_and_gradient(alpha)
        expected, gradient = exact.value_and_gradient(alpha)
        assert value == pytest.approx(expected, rel=1e-4)
        assert np.linalg.norm(slope - gradient) < 0.02 * np.linalg.norm(gradient)


def test_it_improves_on_the_start_and_says_how(small_data):
    data = small_data.draw(groups=2, rows=300)
    seen = []
    problem = data.problem(data.space("cross-entropy"), "worst-group", shrinkage=1.0)
    result = exact_search(problem, progress=seen.append)
    start = result.history[0]
    assert not start.alpha.any()
    assert result.value < start.objective - 0.05
    assert result.status == "converged"
    assert "converged" in result.message
    assert tuple(seen) == result.history
    assert result.best.objective == result.value
    np.testing.assert_array_equal(result.best.alpha, result.alpha)
    assert result.design == problem.space.design(result.alpha)
    assert result.statistics["evaluations"] == len(result.history)
    np.testing.assert_array_equal(result.held_out_rows, np.arange(300))
    again = problem.held_out(torch.from_numpy(result.held_out_logits))
    assert float(again.objective) == pytest.approx(result.value, rel=1e-12)


def test_runs_are_bit_identical(small_data):
    data = small_data.draw(groups=2, rows=300)
    options = {"curvature_dtype": torch.float32, "tolerance": 1e-4}

    def run():
        problem = data.problem(
            data.space(), "worst-group", features=data.features(torch.float32), **options
        )
        return exact_search(problem, max_evaluations=12)

    first, again = run(), run()
    np.testing.assert_array_equal(first.alpha, again.alpha)
    np.testing.assert_array_equal(first.held_out_logits, again.held_out_logits)
    assert [e.objective for e in first.history] == [e.objective for e in again.history]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_limit_of_evaluations_is_kept(small_data, limit):
    data = small_data.draw(groups=2)
    result = exact_search(data.problem(data.space(), "worst-group"), max_evaluations=limit)
    assert len(result.history) == limit
    assert result.status == "iteration limit"
    assert "raise max_evaluations" in result.message
    assert result.value == min(e.objective for e in result.history)


def test_a_strong_pull_keeps_the_start(small_data):
    data = small_data.draw(groups=2)
    space = data.space("group-la", parameters=("weight", "additive", "multiplicative"))
    result = exact_search(data.problem(space, "worst-group", shrinkage=1e6))
    np.testing.assert_allclose(result.alpha, 0, atol=1e-3)
    assert result.status == "converged"
    for name in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(
            getattr(result.design, name), getattr(space.start, name), atol=1e-2
        )


def test_the_minimum_over_the_ridge_is_that_of_a_grid(small_data):
    data = small_data.draw(groups=2, rows=200)
    problem = data.problem(data.space(parameters=("ridge",)), "error")
    grid = np.log(np.geomspace(1e-2, 1, 40) / 0.05)
    best = min(problem.value_and_gradient(np.array([point]))[0] for point in grid)
    fresh = data.problem(data.space(parameters=("ridge",)), "error")
    assert exact_search(fresh).value == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize(("classes", "groups"), [(2, 1), (2, 2), (110, 1)])
def test_few_and_many_classes_run(small_data, classes, groups):
    data = small_data.draw(groups=groups, classes=classes, rows=max(200, 8 * classes), features=8)
    problem = data.problem(
        data.space("weighted"),
        "worst-class",
        features=data.features(torch.float32),
        curvature_dtype=torch.float32,
        tolerance=1e-4,
        hypergradient_tolerance=1e-3,
    )
    result = exact_search(problem, max_evaluations=6)
    assert result.value < result.history[0].objective
    assert result.design.weight.shape == (classes, groups)


def with_a_hole(small_data):
    data = small_data.draw(groups=2, rows=150)
    kept = ~((data.y == 1) & (data.g == 1))
    return small_data.of(data.x[kept], data.y[kept], data.g[kept])


@pytest.mark.parametrize("objective", ["group-balanced", "worst-group", "equalized-odds"])
def test_a_group_absent_from_a_class_is_left_out(small_data, objective):
    data = with_a_hole(small_data)
    problem = data.problem(data.space("group-la"), objective, empty_cells="drop")
    assert_gradient_is_right(problem)
    result = exact_search(problem, max_evaluations=10)
    assert np.isfinite(result.value)
    assert result.history[-1].risks[1, 1] == 0


def test_a_cell_that_is_never_held_out_is_refused_or_dropped(small_data):
    data = small_data.draw(groups=2)
    validating = np.flatnonzero((np.arange(90) % 3 == 0) & ~((data.y == 1) & (data.g == 1)))
    folds = data.folds([(np.setdiff1d(np.arange(90), validating), validating)])
    with pytest.raises(ObjectiveError, match="class '1' in group '1', of which no example is held"):
        data.problem(data.space(), "worst-group", folds=folds)
    problem = data.problem(data.space(), "group-balanced", folds=folds, empty_cells="drop")
    problem.value_and_gradient(np.zeros(problem.space.dimension))
    evaluation = problem.history[-1]
    assert evaluation.objective == pytest.approx(evaluation.risks[evaluation.risks > 0].mean())


def test_mixed_precision_finds_the_design_of_double_precision(small_data):
    data = small_data.draw(groups=2, rows=400)
    space = data.space("group-la", parameters=("weight", "additive", "ridge"), dictionary="class")
    double = exact_search(data.problem(space, "group-balanced", shrinkage=1.0), tolerance=1e-7)
    problem = data.problem(
        space,
        "group-balanced",
        shrinkage=1.0,
        features=data.features(torch.float32),
        curvature_dtype=torch.float32,
        tolerance=1e-4,
        hypergradient_tolerance=1e-3,
    )
    mixed = exact_search(problem, tolerance=1e-7)
    assert mixed.value == pytest.approx(double.value, abs=1e-5)
    for name in ("weight", "additive"):
        np.testing.assert_allclose(
            getattr(mixed.design, name), getattr(double.design, name), rtol=0, atol=0.02
        )


def test_weight_two_is_two_copies(small_data):
    data = small_data.draw(groups=2)
    twice = np.flatnonzero(np.arange(90) % 4 == 0)
    weight = np.ones(90)
    weight[twice] = 2
    rows = np.concatenate([np.arange(90), twice])
    weighted = small_data.of(data.x, data.y, data.g, weight)
    copied = small_data.of(data.x[rows], data.y[rows], data.g[rows])
    fold = np.arange(90) % 2

    def run(of, fold):
        pairs = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in (0, 1)]
        problem = of.problem(of.space("group-la"), "worst-group", folds=of.folds(pairs))
        rng = np.random.default_rng(0)
        points = [0.3 * rng.normal(size=problem.space.dimension) for _ in range(2)]
        return [problem.value_and_gradient(point) for point in points]

    for (value, slope), (expected, gradient) in zip(
        run(weighted, fold), run(copied, fold[rows]), strict=True
    ):
        assert value == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(slope, gradient, rtol=0, atol=1e-7)


def test_a_constraint_is_kept_or_said_to_be_broken(small_data):
    data = small_data.draw(groups=2, rows=200)
    space = data.space("group-la", parameters=("weight", "additive"), dictionary="cell-log-prior")
    free = exact_search(data.problem(space, "worst-group"), tolerance=1e-6)
    error = Objective.parse("error").bind(data.counts)
    frequencies = torch.from_numpy(data.counts.frequencies)
    risk = float(error.risk(torch.from_numpy(free.best.risks), frequencies))

    def under(limit):
        constraint = Constraint.parse(f"error<={limit!r}").bind(data.counts)
        return exact_search(
            data.problem(space, "worst-group", constraints=[constraint]), max_evaluations=100
        )

    kept = under(risk - 0.02)
    assert kept.best.violation < 1e-3
    assert kept.value >= free.value - 1e-4
    broken = under(0.01)
    assert broken.status == "infeasible"
    assert broken.best.violation > 0.1
