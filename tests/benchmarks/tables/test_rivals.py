"""What other libraries are asked to do, on the folds and for the error that all are tuned for."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score

from benchmarks.tables import rivals
from benchmarks.tables.cases import make_task


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr(rivals, "STRENGTHS", (0.01, 1.0))
    monkeypatch.setattr(rivals, "PARITY_BOUNDS", (0.1,))


def fit(table, case, seed=0):
    task = make_task(table, case, seed)
    bench = task.procedure.bench(task.train)
    fitted = rivals.fit_rivals(task.train, bench.folds, bench.objective, seed)
    return task, {each.name: each for each in fitted}


def balanced_error(task, rival):
    return 1 - balanced_accuracy_score(task.test.y, rival.predict(task.test.features))


def test_two_classes(table, by_class):
    task, fitted = fit(table, by_class)
    assert list(fitted) == [
        rivals.BALANCED,
        rivals.THRESHOLD,
        rivals.OVERSAMPLED,
        rivals.BOOSTED,
    ]
    assert all(balanced_error(task, rival) < 0.4 for rival in fitted.values())


def test_more_classes_have_no_threshold(three_classes, by_class):
    task, fitted = fit(three_classes, by_class)
    assert list(fitted) == [rivals.BALANCED, rivals.OVERSAMPLED, rivals.BOOSTED]
    assert all(balanced_error(task, rival) < 0.55 for rival in fitted.values())


@pytest.mark.slow
def test_groups_bring_fairlearn_whose_draws_are_fixed(table, by_group):
    task, fitted = fit(table, by_group)
    fair = fitted[rivals.FAIR]
    first, second = (fair.predict(task.test.features) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert balanced_error(task, fair) < 0.4
    assert "within 0.1" in fair.choice


def test_a_class_of_few_examples_is_oversampled_from_fewer_neighbours(table, by_class):
    frame = table.frame
    rare = np.flatnonzero(frame["kind"] == 1)[8:]
    _, fitted = fit(table.rows(np.setdiff1d(np.arange(len(frame)), rare)), by_class)
    assert rivals.OVERSAMPLED in fitted


def arena(task, objective=None):
    bench = task.procedure.bench(task.train)
    pairs = [
        (np.flatnonzero(train), bench.folds.row[bench.folds.fold == f])
        for f, train in enumerate(bench.folds.train)
    ]
    return rivals._Arena(task.train.features, task.train.y, task.train.g, pairs, bench.objective, 0)


def test_the_lowest_held_out_error_is_chosen_and_the_first_of_equals(table, by_class):
    constants = {f"always {k}": DummyClassifier(strategy="constant", constant=k) for k in (1, 0)}
    ground = arena(make_task(table, by_class, 0))
    assert rivals._tune(ground, constants)[0] == "always 1"  # a balanced error of 1/2 each
    better = constants | {"b": rivals._logistic(1.0)}
    choice, model = rivals._tune(ground, better)
    assert choice == "b"
    assert len(model.coef_[0]) == ground.x.shape[1]


def test_the_threshold_serves_the_objective_on_the_folds(table, by_group):
    ground = arena(make_task(table, by_group, 0))
    _, model = rivals._tuned_threshold(ground)
    plain = rivals._tune(ground, {"plain": rivals._logistic(1.0)})[1]

    def worst_cell(predicted):
        return max(
            (predicted != ground.y)[ground.cell == cell].mean() for cell in np.unique(ground.cell)
        )

    assert worst_cell(model.predict(ground.x)) < worst_cell(plain.predict(ground.x)) - 0.05
