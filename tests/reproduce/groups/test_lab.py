"""A seed's folds and features, and the lab in which every example is there twice."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from autobalance.evaluation import cell_codes
from autobalance.network_settings import NetworkSettings
from autobalance.reproduce.groups.lab import FOLDS, REPEATS, GroupLab
from autobalance.training.settings import TrainingSettings


def pairs(folds):
    return set(zip(folds.fold.tolist(), folds.row.tolist(), strict=True))


@pytest.fixture
def whole_lab(small_lab, monkeypatch):
    """A lab with as many folds as there are by default."""
    monkeypatch.undo()
    data, _ = small_lab
    return data, GroupLab(data.train, data.counts, 0)


def test_every_example_validates_once_in_each_repetition(whole_lab):
    data, lab = whole_lab
    folds, rows = lab.folds, len(data.train.y)
    assert len(folds) == FOLDS * REPEATS
    assert np.bincount(folds.row, minlength=rows).tolist() == [REPEATS] * rows
    cell = cell_codes(data.train.y, data.train.g, 2, 2)
    for number in range(len(folds)):
        held_out = folds.row[folds.fold == number]
        assert np.bincount(cell[held_out]).tolist() == [10, 2, 2, 6]  # a fifth of each cell
        np.testing.assert_array_equal(np.flatnonzero(~folds.train[number]), held_out)
    for repeat in range(REPEATS):
        these = [row for fold, row in pairs(folds) if fold // FOLDS == repeat]
        assert sorted(these) == list(range(rows))


def test_the_seed_decides_the_folds(small_lab):
    data, lab = small_lab
    again, other = (GroupLab(data.train, data.counts, seed) for seed in (0, 1))
    assert pairs(again.folds) == pairs(lab.folds)
    assert pairs(other.folds) != pairs(lab.folds)


def test_folds_that_are_given_are_taken(small_lab):
    data, lab = small_lab
    assert GroupLab(data.train, data.counts, 7, lab.folds).folds is lab.folds


def test_in_the_double_every_example_is_twice_in_the_same_fold(small_lab):
    data, lab = small_lab
    twice, rows = lab.doubled(), len(data.train.y)
    assert twice.counts.values.tolist() == [[50.0, 10.0, 50.0, 10.0], [10.0, 30.0, 10.0, 30.0]]
    assert twice.counts.groups == ("land", "water", "land, again", "water, again")
    for half in (slice(rows), slice(rows, None)):
        np.testing.assert_array_equal(twice.train.features[half], data.train.features)
        np.testing.assert_array_equal(twice.train.y[half], data.train.y)
        np.testing.assert_array_equal(twice.folds.train[:, half], lab.folds.train)
    np.testing.assert_array_equal(twice.train.g, np.concatenate([data.train.g, data.train.g + 2]))
    both = {(fold, row + half) for fold, row in pairs(lab.folds) for half in (0, rows)}
    assert pairs(twice.folds) == both
    assert (np.diff(twice.folds.row) >= 0).all()
    assert twice.seed == lab.seed


@pytest.mark.parametrize("objective", ["error", "worst-group", "0.25*error+0.75*equalized-odds"])
def test_the_double_has_the_objective_of_the_single(small_lab, objective):
    _, lab = small_lab
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(len(lab.folds.row), 2)))
    single, double = (each.bench(objective).held_out_risk() for each in (lab, lab.doubled()))
    order = np.argsort(np.concatenate([lab.folds.row, lab.folds.row + 100]), kind="stable")
    expected, found = single(logits), double(torch.cat([logits, logits])[order])
    assert float(found.objective) == pytest.approx(float(expected.objective), abs=1e-12)
    assert found.temperature == pytest.approx(expected.temperature)


def test_a_head_is_scikit_learns_logistic_regression(small_lab):
    data, lab = small_lab
    x = data.train.features.astype(np.float64)
    scale = np.sqrt(x.var(0).mean())  # one for all, as outputs of one network have
    standard = (x - x.mean(0)) / scale
    head = lab.head(lab.design("cross-entropy", 0.05))
    # half the ridge: two opposite weight vectors of half the size
    model = LogisticRegression(C=2 / (0.05 * len(x)), tol=1e-10, max_iter=10_000)
    model.fit(standard, data.train.y)
    np.testing.assert_allclose(
        np.diff(head.logits(x), axis=1)[:, 0], model.decision_function(standard), atol=1e-3
    )


def test_a_design_is_the_preset_with_a_ridge(small_lab):
    _, lab = small_lab
    design = lab.design("group-balanced", 0.25)
    assert design.ridge == 0.25
    np.testing.assert_allclose(design.weight, 25 / lab.counts.values)


def test_a_bench_is_kept_and_a_fresh_one_knows_nothing(small_lab):
    _, lab = small_lab
    bench = lab.bench("worst-group")
    assert lab.bench("worst-group") is bench
    assert lab.bench("error") is not bench
    bench.tune_preset("group-la")
    assert lab.fresh_bench("worst-group")._tuned == {}


def test_a_network_bench_holds_out_one_share_of_every_cell(small_lab):
    _, lab = small_lab
    network = NetworkSettings("linear", TrainingSettings(epochs=1), device="cpu")
    bench = lab.network_bench("worst-group", 0.5, network)
    assert len(bench.folds) == 1
    held_out = bench.folds.row
    cell = cell_codes(lab.train.y[held_out], lab.train.g[held_out], 2, 2)
    assert np.bincount(cell).tolist() == [25, 5, 5, 15]
    assert bench.network is network
    other = GroupLab(lab.train, lab.counts, 1).network_bench("worst-group", 0.5, network)
    assert set(other.folds.row) != set(held_out)
