"""Errors of trained heads against their definitions, and the summary of several runs."""

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.reproduce.groups.measure import (
    METRICS,
    bound_metrics,
    measured,
    predictions_of,
    summarised,
)
from autobalance.reproduce.sealed import Sealed

COUNTS = Counts(np.array([[60.0, 20.0], [10.0, 30.0]]), ("land", "water"), ("land", "water"))
SHARES = COUNTS.values / 120


@pytest.fixture
def scored():
    """Ten examples a cell, sealed, and their codes."""
    y, g = np.repeat([0, 0, 1, 1], 10), np.repeat([0, 1, 0, 1], 10)
    return Sealed(np.zeros((40, 1)), y, g, (2, 2)), y


def wrong_in(y, *numbers):
    """Predictions with so many mistakes in each cell."""
    predicted = y.copy()
    for cell, number in enumerate(numbers):
        predicted[10 * cell : 10 * cell + number] = 1 - predicted[10 * cell]
    return predicted


def test_metrics_by_hand(scored):
    test, y = scored
    row = measured(test, COUNTS, wrong_in(y, 1, 4, 6, 2))
    errors = np.array([[0.1, 0.4], [0.6, 0.2]])
    assert row["cell_errors"] == [[10.0, 40.0], [60.0, 20.0]]
    assert row["balanced"] == pytest.approx(100 * errors.mean())
    assert row["worst"] == pytest.approx(60.0)
    assert row["deo"] == pytest.approx(30.0 + 40.0)
    assert row["standard"] == pytest.approx(100 * (SHARES * errors).sum())
    assert row["predictions"] == "".join(map(str, wrong_in(y, 1, 4, 6, 2)))
    assert set(METRICS) == {"balanced", "worst", "deo", "standard"}
    assert set(bound_metrics(COUNTS)) == set(METRICS)


def test_predictions_come_back(scored):
    test, y = scored
    rows = [measured(test, COUNTS, wrong_in(y, number, 0, 0, 3)) for number in (0, 2)]
    np.testing.assert_array_equal(
        predictions_of(rows), [wrong_in(y, 0, 0, 0, 3), wrong_in(y, 2, 0, 0, 3)]
    )


def rows_of(test, y, method, *mistakes):
    return [
        {"method": method, "seed": seed, "seconds": 1.0 + seed**2}
        | measured(test, COUNTS, wrong_in(y, *each))
        for seed, each in enumerate(mistakes)
    ]


@pytest.fixture
def summary(scored):
    test, y = scored
    rows = [
        *rows_of(test, y, "ours", (1, 1, 1, 1), (1, 1, 1, 3), (2, 2, 2, 2)),
        *rows_of(test, y, "theirs", (5, 5, 5, 5), (3, 3, 3, 3), (4, 4, 4, 4)),
        *rows_of(test, y, "peeking", (0, 0, 0, 0), (0, 0, 0, 0)),
        *rows_of(test, y, "once", (1, 1, 1, 1)),
    ]
    return summarised(rows, test, COUNTS, "ours", ["ours", "theirs", "once"])


def test_a_summary_has_means_and_standard_errors(summary):
    assert list(summary) == ["ours", "theirs", "peeking", "once"]
    ours = summary["ours"]
    values = [10.0, 15.0, 20.0]
    assert (ours["method"], ours["seeds"]) == ("ours", 3)
    assert ours["balanced"] == pytest.approx(15.0)
    assert ours["balanced_standard_error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert ours["deo"] == pytest.approx((0 + 20 + 0) / 3)
    assert ours["seconds"] == 2.0  # the median
    assert summary["once"]["worst_standard_error"] is None


def test_a_difference_is_over_the_seeds_that_both_have(summary):
    theirs, once = summary["theirs"], summary["once"]
    assert theirs["balanced_difference"] == pytest.approx(40.0 - 15.0)
    low, high = theirs["balanced_interval"]
    assert 0 < low < 25.0 < high < 45
    assert once["balanced_difference"] == pytest.approx(0.0)  # of the first seed alone
    assert once["balanced_interval"] == pytest.approx([0.0, 0.0])
    assert theirs["deo_difference"] == pytest.approx(-20 / 3)
    assert set(METRICS) <= {name.removesuffix("_interval") for name in theirs}


def test_only_what_is_compared_has_a_difference(summary):
    for method in ("ours", "peeking"):
        assert not any("difference" in name or "interval" in name for name in summary[method])


def test_without_the_headline_there_is_nothing_to_compare_with(scored):
    test, y = scored
    rows = rows_of(test, y, "theirs", (5, 5, 5, 5))
    assert "balanced_difference" not in summarised(rows, test, COUNTS, "ours", ["theirs"])["theirs"]
