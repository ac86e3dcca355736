"""Errors and paired differences against other libraries and formulas."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from autobalance.counts import Counts
from autobalance.objectives import Objective
from benchmarks.tables.measure import HeldOut, different_examples, error, same_examples


def held_out(seed=0, rows=2000, methods=("one", "other"), groups=1):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    g = rng.choice(groups, rows)
    predicted = {
        name: np.where(rng.random(rows) < 0.3, rng.choice(3, rows), y)[None] for name in methods
    }
    return HeldOut(y, g, predicted)


def test_the_balanced_error_is_what_scikit_learn_says():
    data = held_out()
    expected = 1 - balanced_accuracy_score(data.y, data.predicted["one"][0])
    assert data.error("balanced", "one") == pytest.approx(expected)


def test_the_worst_cell_is_found():
    data = held_out(groups=2)
    predicted = data.predicted["one"][0]
    cells = [(data.y == k) & (data.g == j) for k in range(3) for j in range(2)]
    expected = max((predicted[cell] != data.y[cell]).mean() for cell in cells)
    assert data.error("worst-group", "one") == pytest.approx(expected)
    counts = Counts.from_codes(data.y, data.g, (0, 1, 2), (0, 1))
    bound = Objective.parse("worst-group").bind(counts)
    assert error(bound, data.y, data.g, predicted) == pytest.approx(expected)


def test_the_standard_error_is_that_of_a_mean_of_paired_differences():
    data = held_out()
    gap = data.difference("balanced", "one", "other")
    wrong = {name: (codes[0] != data.y).astype(float) for name, codes in data.predicted.items()}
    d = wrong["one"] - wrong["other"]
    classes = [d[data.y == k] for k in range(3)]
    expected = np.sqrt(sum(part.var() / len(part) for part in classes)) / 3
    assert gap.value == pytest.approx(np.mean([part.mean() for part in classes]))
    assert gap.standard_error == pytest.approx(expected, rel=0.1)


def test_a_method_does_not_differ_from_itself():
    gap = held_out().difference("balanced", "one", "one")
    assert (gap.value, gap.standard_error) == (0, 0)


def test_runs_on_the_same_examples_are_averaged():
    first = held_out()
    second = HeldOut(first.y, first.g, held_out(seed=0, methods=("other", "one")).predicted)
    both = same_examples([first, second])
    mean = (first.error("balanced", "one") + second.error("balanced", "one")) / 2
    assert both.error("balanced", "one") == pytest.approx(mean)
    # The methods change places between the two runs.
    assert both.difference("balanced", "one", "other").value == pytest.approx(0)


def test_runs_on_different_examples_are_pooled():
    whole = held_out()
    halves = [
        HeldOut(
            whole.y[half],
            whole.g[half],
            {name: codes[:, half] for name, codes in whole.predicted.items()},
        )
        for half in (slice(0, 700), slice(700, None))
    ]
    pooled = different_examples(halves)
    assert pooled.error("worst-class", "one") == whole.error("worst-class", "one")
    assert pooled.difference("balanced", "one", "other") == whole.difference(
        "balanced", "one", "other"
    )
