"""The published post-hoc grid against brute force over all four of its parameters."""

import itertools
import re

import numpy as np
import pytest

from autobalance.baselines import posthoc_grid as module
from autobalance.baselines.posthoc_grid import RATIOS, tuned_on_what_it_scores
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.evaluation import cell_errors
from autobalance.objectives import Objective

PUBLISHED = "0.9*group-balanced+0.1*equalized-odds"


def examples(rows=14, seed=0, spread=1.5):
    """Logits that say something about the class, and more of it in group 0."""
    rng = np.random.default_rng(seed)
    y, g = np.arange(rows) % 2, np.arange(rows) // 2 % 2
    logits = rng.normal(size=(rows, 2)) * spread + np.eye(2)[y] * (1.5 - g[:, None])
    return logits + np.array([0.0, 1.0]), y, g


def bound(text, y, g):
    counts = Counts.from_codes(y, g, ("a", "b"), None if g is None else (0, 1))
    return Objective.parse(text).bind(counts)


def by_hand(text, predicted, y, g):
    """The objective's formula from the error of each cell."""
    wrong = predicted != y
    cells = np.array([[wrong[(y == k) & (g == j)].mean() for j in (0, 1)] for k in (0, 1)])
    parts = {
        "error": wrong.mean(),
        "balanced": np.mean([wrong[y == k].mean() for k in (0, 1)]),
        "group-balanced": cells.mean(),
        "worst-group": cells.max(),
        "equalized-odds": abs(cells[:, 0] - cells[:, 1]).sum(),
    }
    if text == PUBLISHED:
        return 0.9 * parts["group-balanced"] + 0.1 * parts["equalized-odds"]
    return parts[text]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "text", ["error", "balanced", "group-balanced", "worst-group", "equalized-odds", PUBLISHED]
)
def test_no_point_of_a_grid_of_all_four_parameters_is_better(text, seed):
    logits, y, g = examples(seed=seed)
    found = tuned_on_what_it_scores(logits, y, g, bound(text, y, g))
    predicted = (found.weight * logits + found.bias).argmax(1)
    assert found.value == pytest.approx(by_hand(text, predicted, y, g), abs=1e-12)
    scales = [10 ** (step / 40) for step in (-20, -8, 0, 8, 20)]  # their ratios are tried
    biases = np.linspace(-3, 3, 13)
    for weight in itertools.product(scales, scales):
        for bias in itertools.product(biases, biases):
            tried = (np.array(weight) * logits + np.array(bias)).argmax(1)
            assert found.value <= by_hand(text, tried, y, g) + 1e-12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", ["group-balanced", PUBLISHED])
def test_it_is_the_best_of_all_its_ratios_and_all_differences_of_biases(text, seed):
    logits, y, g = examples(seed=seed)
    found = tuned_on_what_it_scores(logits, y, g, bound(text, y, g))
    best = np.inf
    for ratio in RATIOS:
        lead = ratio * logits[:, 1] - logits[:, 0]
        for threshold in [*lead, -np.inf]:
            best = min(best, by_hand(text, (lead > threshold).astype(int), y, g))
    assert found.value == pytest.approx(best, abs=1e-12)


def test_equal_logits_are_never_told_apart():
    logits = np.array([[0.0, 1.0]] * 3 + [[0.0, 0.0]] * 4 + [[0.0, -1.0]] * 3)
    y = np.array([1, 1, 1, 1, 0, 1, 0, 0, 0, 1])
    found = tuned_on_what_it_scores(logits, y, None, bound("error", y, None))
    assert found.value == pytest.approx(0.3)  # 2 of the four in the middle, 1 of the last three
    assert found.weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("y", "said"), [([0, 0, 1], 0), ([0, 1, 1], 1)])
def test_a_class_that_should_never_be_said_is_never_said(y, said):
    logits = np.array([[0.0, 2.0], [0.0, 0.0], [0.0, -2.0]])
    found = tuned_on_what_it_scores(logits, np.array(y), None, bound("error", np.array(y), None))
    assert (found.weight * logits + found.bias).argmax(1).tolist() == [said] * 3


def test_the_ratio_of_factors_is_found():
    """Class 1 exactly where 2 z₁ exceeds z₀, whatever the size of both."""
    logits = np.array([[2.0, 1.1], [6.0, 3.1], [9.0, 4.6], [2.0, 0.9], [6.0, 2.9], [9.0, 4.4]])
    y = np.array([1, 1, 1, 0, 0, 0])
    found = tuned_on_what_it_scores(logits, y, None, bound("balanced", y, None))
    assert found.value == 0
    assert found.weight[1] / found.weight[0] == pytest.approx(2, rel=0.1)
    shifted = (logits[:, 1] - logits[:, 0])[:, None] + np.array([-4.6, -1, 0, 1, 4.6])
    assert ((shifted > 0) != y[:, None]).any(0).all()


def test_cells_without_examples_are_left_out():
    logits, y, g = examples(rows=40)
    seen = (y == 0) | (g == 0)
    objective = bound("group-balanced", y, g)
    found = tuned_on_what_it_scores(logits[seen], y[seen], g[seen], objective)
    predicted = (found.weight * logits + found.bias).argmax(1)
    errors = cell_errors(y[seen], predicted[seen], g[seen], 2, 2)
    assert found.value == pytest.approx(np.nanmean(errors))


def test_it_says_what_it_is():
    assert "tuned on the data it is scored on, as published" in tuned_on_what_it_scores.__doc__
    assert "tuned on the data it is scored on" in module.__doc__


@pytest.mark.parametrize(
    ("logits", "codes", "message"),
    [
        (np.zeros((2, 3)), [0, 1], "there are logits of 3 classes and an objective of 2, but"),
        (np.zeros((3, 2)), [0, 1], "there are 3 rows of logits and 2 class codes"),
        (np.zeros((0, 2)), [], "there are 0 rows of logits and 0 class codes; give at least one"),
        (np.array([[0.0, np.nan], [0.0, 1.0]]), [0, 1], "a row of finite logits for each"),
        (np.zeros((2, 2)), [0, 2], "class code 2 of example 1 is not in 0..1"),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_refusals(logits, codes, message):
    objective = bound("balanced", np.array([0, 1]), None)
    with pytest.raises(DataError, match=re.escape(message)):
        tuned_on_what_it_scores(logits, np.array(codes, dtype=np.int64), None, objective)


@pytest.mark.usefixtures("plain_calls")
def test_an_objective_of_three_classes_is_refused():
    counts = Counts(np.ones((3, 1)), (0, 1, 2))
    objective = Objective.parse("balanced").bind(counts)
    with pytest.raises(DataError, match="logits of 2 classes and an objective of 3"):
        tuned_on_what_it_scores(np.zeros((2, 2)), np.array([0, 1]), None, objective)
