"""The interval of a difference over runs, against one run's interval and a plain bootstrap."""

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.evaluation import Evaluator
from autobalance.objectives import Objective
from autobalance.paired import mean_paired_difference

FORMULAS = {
    "error": lambda e: (e * np.array([[60, 20], [10, 30]]) / 120).sum((-2, -1)),
    "group-balanced": lambda e: e.mean((-2, -1)),
    "worst-group": lambda e: e.max((-2, -1)),
    "equalized-odds": lambda e: np.abs(e[..., 0] - e[..., 1]).sum(-1),
}


@pytest.fixture
def test_set():
    """Codes, counts, and predictions of two methods in 4 runs each, wrong now and then."""
    rng = np.random.default_rng(0)
    y, g = rng.integers(2, size=600), rng.integers(2, size=600)
    counts = Counts(np.array([[60.0, 20.0], [10.0, 30.0]]), ("a", "b"), ("f", "m"))
    predicted, reference = (
        np.where(rng.random((4, 600)) < rate + 0.1 * (y == g), 1 - y, y) for rate in (0.2, 0.1)
    )
    return counts, y, g, predicted, reference


@pytest.mark.parametrize("name", FORMULAS)
def test_for_one_run_it_is_the_evaluators(test_set, name):
    counts, y, g, predicted, reference = test_set
    objective = Objective.parse(name).bind(counts)
    found = mean_paired_difference(objective, counts, y, g, predicted[:1], reference[:1], 7)
    evaluator = Evaluator(y, g, counts, objective, frequencies=counts.frequencies, random_state=7)
    expected = evaluator.paired_difference(predicted[0], reference[0])
    assert found.value == pytest.approx(expected.value)
    # the same draws up to the order in which patterns of errors are counted
    width = expected.high - expected.low
    assert found.interval == pytest.approx(expected.interval, abs=0.08 * width)


@pytest.mark.parametrize("name", FORMULAS)
def test_for_several_runs_it_is_a_plain_bootstrap_over_examples(test_set, name):
    counts, y, g, predicted, reference = test_set
    objective = Objective.parse(name).bind(counts)
    found = mean_paired_difference(objective, counts, y, g, predicted, reference)
    wrong = np.stack([predicted, reference]) != y
    rng = np.random.default_rng(1)
    errors, draws = np.empty((2, 4, 2, 2)), np.empty((2, 4, 2000, 2, 2))
    for k in (0, 1):
        for j in (0, 1):
            rows = np.flatnonzero((y == k) & (g == j))
            errors[..., k, j] = wrong[..., rows].mean(-1)
            drawn = rng.choice(rows, (2000, len(rows)))
            draws[..., k, j] = wrong[..., drawn].mean(-1)

    def difference(errors):
        values = FORMULAS[name](errors)
        return (values[0] - values[1]).mean(0)

    value = difference(errors)
    low, high = 2 * value - np.quantile(difference(draws), [0.975, 0.025])
    assert found.value == pytest.approx(value)
    assert found.interval == pytest.approx([low, high], abs=0.1 * (high - low))


def test_runs_that_agree_have_no_more_certainty_than_one(test_set):
    counts, y, g, predicted, reference = test_set
    objective = Objective.parse("group-balanced").bind(counts)

    def width(runs):
        found = mean_paired_difference(objective, counts, y, g, *runs)
        return found.high - found.low

    once = width((predicted[:1], reference[:1]))
    same = width((predicted[:1].repeat(4, 0), reference[:1].repeat(4, 0)))
    assert same == pytest.approx(once, rel=0.08)
    assert width((predicted, reference)) < 0.7 * once


def test_many_runs_are_counted_rightly(test_set):
    counts, y, g, predicted, reference = test_set
    objective = Objective.parse("error").bind(counts)
    runs = np.arange(40) % 4
    found = mean_paired_difference(objective, counts, y, g, predicted[runs], reference[runs])
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.1
    nothing = mean_paired_difference(objective, counts, y, g, predicted[runs], predicted[runs])
    assert nothing.interval == [0.0, 0.0]
