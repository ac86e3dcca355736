"""The protocol of all baselines: what trains on what, and what is kept."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from autobalance.baselines.direct_search import Strength, compass_search, grid_search
from autobalance.baselines.tuning import RIDGE, tune
from autobalance.search.heads import LinearHeads
from autobalance.space import RIDGE_BOUNDS, SearchSpace


def cross_entropy_of(bench, seen=None):
    """A baseline that is plain cross-entropy with a ridge; ``seen`` records its calls."""
    heads_of = partial(
        LinearHeads,
        bench.features,
        torch.from_numpy(bench.y),
        torch.from_numpy(bench.g),
        curvature_dtype=torch.float64,
        tolerance=1e-9,
    )

    def train(values, train_weight, start):
        if seen is not None:
            seen.append((dict(values), train_weight, start))
        heads = heads_of(train_weight, bench.counts.n_classes)
        design = bench.start("cross-entropy", values["ridge"])
        heads.set_loss(SearchSpace(design, {}, False).decode(torch.zeros(0).double()))
        heads.fit()
        return heads.theta

    return train


def test_the_model_is_trained_on_everything_and_held_out_logits_are_not(make_bench):
    x, bench = make_bench("error", groups=1)
    grid = partial(grid_search, grid={"ridge": [0.05]})
    head = tune(bench, "CE", cross_entropy_of(bench), grid)
    standard = (x - x.mean(0)) / x.std(0)
    for train, rows, found in [
        (np.ones(240, bool), np.arange(240), head.model.logits(x)),
        *(
            (
                bench.folds.train[f],
                bench.folds.row[bench.folds.fold == f],
                head.held_out_logits[bench.folds.fold == f],
            )
            for f in range(3)
        ),
    ]:
        model = LogisticRegression(C=2 / (0.05 * train.sum()), tol=1e-10, max_iter=10_000)
        model.fit(standard[train], bench.y[train])
        expected = model.decision_function(standard[rows])
        np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=1e-3)


@pytest.mark.parametrize("objective", ["error", "worst-group"])
def test_it_finds_the_ridge_that_a_search_by_hypergradients_finds(make_bench, objective):
    _, bench = make_bench(objective)
    search = partial(compass_search, strengths={"ridge": RIDGE})
    head = tune(bench, "CE", cross_entropy_of(bench), search)
    other = bench.train_preset("cross-entropy", "CE")
    assert head.value <= other.result.value + 2e-3
    held_out = bench.problem(SearchSpace(bench.start("cross-entropy"), {}, True)).held_out
    outcome = held_out(torch.from_numpy(head.held_out_logits))
    assert head.value == pytest.approx(float(outcome.total), rel=1e-12)
    assert head.model.temperature == pytest.approx(outcome.temperature, rel=1e-12)


def test_every_training_starts_from_the_best_so_far(make_bench):
    _, bench = make_bench()
    seen = []
    search = partial(compass_search, strengths={"ridge": Strength(0.1, 4.0, 1e-3, 1.0)})
    head = tune(bench, "CE", cross_entropy_of(bench, seen), search, "some kind")
    assert (head.name, head.kind) == ("CE", "some kind")
    assert seen[0][2] is None
    assert all(start is not None for _, _, start in seen[1:])
    *on_folds, (values, weight, start) = seen
    assert values == head.strengths
    assert (weight.shape, start.shape[0]) == ((1, 240), 1)
    assert float(weight.sum()) == pytest.approx(1)
    assert all(each.shape == (3, 240) for _, each, _ in on_folds)
    assert head.seconds > 0


def test_the_ridge_has_the_range_of_the_searched_one():
    assert (RIDGE.low, RIDGE.high) == RIDGE_BOUNDS
