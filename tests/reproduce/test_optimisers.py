"""Both optimisers: where they begin, where they stay, and that they get somewhere."""

import sys

import numpy as np
import pytest

from autobalance.errors import DataError
from autobalance.reproduce.optimisers import gaussian_process, tree_parzen

TRIALS = {"optuna": 15, "smac": 7}


def optimiser(name, *arguments):
    if name == "optuna":
        pytest.importorskip("optuna", reason="Optuna is not installed")
        return tree_parzen(*arguments)
    pytest.importorskip("smac", reason="SMAC3 is not installed")
    return gaussian_process(*arguments)


def points_and_values(name, function, bounds, trials, seed=0):
    points, values = [], []
    with optimiser(name, bounds, trials, seed) as search:
        for _ in range(trials):
            points.append(search.ask())
            values.append(function(points[-1]))
            search.tell(values[-1])
    return np.array(points), np.array(values)


def bowl(point):
    return float((point[0] - 1.3) ** 2)


@pytest.mark.parametrize("name", ["optuna", "smac"])
def test_it_begins_at_the_start_and_finds_the_minimum_of_a_bowl(name):
    points, values = points_and_values(name, bowl, [(-3.0, 3.0)], TRIALS[name])
    assert points[0].tolist() == [0.0]
    assert (abs(points) <= 3).all()
    assert values.min() < 0.2 * values[0]
    assert len(np.unique(points)) == TRIALS[name]


@pytest.mark.parametrize("name", ["optuna", "smac"])
def test_entries_keep_their_own_bounds_and_order(name):
    bounds = [(-10.0, 0.5)] * 11 + [(-1000.0, 0.5)]
    points, _ = points_and_values(name, lambda point: float(point[11]), bounds, 3)
    assert points.shape == (3, 12)
    assert (points[0] == 0).all()
    low, high = np.array(bounds).T
    assert ((low <= points) & (points <= high)).all()
    assert points[:, 11].min() < -10  # which only the last may be


@pytest.mark.parametrize("name", ["optuna", "smac"])
def test_a_seed_gives_the_same_points(name):
    runs = [points_and_values(name, bowl, [(-3.0, 3.0)], 2, seed)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


@pytest.mark.parametrize(
    ("make", "module", "said"),
    [(tree_parzen, "optuna", "Optuna"), (gaussian_process, "smac", "SMAC3")],
)
def test_a_missing_package_is_one_sentence(monkeypatch, make, module, said):
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(DataError, match=rf"^{said} is not installed; pip install .*, or leave it"),
        make([(-1.0, 1.0)], 3, 0),
    ):
        pass
