"""The exact search: its gradient against finite differences of the refitted objective, its runs."""

import numpy as np
import pytest

from autobalance.space import PARAMETERS

OBJECTIVES_WITHOUT_GROUPS = ("error", "balanced", "worst-class")
OBJECTIVES_WITH_GROUPS = (
    *OBJECTIVES_WITHOUT_GROUPS,
    "group-balanced",
    "worst-group",
    "equal-opportunity",
    "equalized-odds",
    "0.1*error+0.9*equalized-odds",
)
DICTIONARIES = ("class", "cluster:2", "rank:2", "log-prior")
CELL_DICTIONARIES = ("cell", "cell-cluster:4", "cell-rank:3", "cell-log-prior")
SUBSETS = (*((name,) for name in PARAMETERS), PARAMETERS)


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


@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
@pytest.mark.parametrize("objective", OBJECTIVES_WITH_GROUPS)
def test_gradient_for_every_objective_with_groups(small_data, objective, profile):
    data = small_data.draw(groups=2)
    space = data.space("group-la", dictionary="cell-log-prior")
    problem = data.problem(space, objective, positive_class=2, profile_temperature=profile)
    assert_gradient_is_right(problem)


@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
@pytest.mark.parametrize("objective", OBJECTIVES_WITHOUT_GROUPS)
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_gradient_without_groups(small_data, dictionary, objective, profile):
    data = small_data.draw(groups=1)
    space = data.space("weighted", dictionary=dictionary)
    assert_gradient_is_right(data.problem(space, objective, profile_temperature=profile))


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
