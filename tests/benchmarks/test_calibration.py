"""The calibration benchmark's own arithmetic."""

import numpy as np
import pandas as pd
import pytest

from autobalance.data.tables import Table
from benchmarks.calibration import exact_error, goal_met, split_table, summarise


def test_split_is_stratified_drawn_by_the_seed_and_left_alone_if_there_is_one():
    table = Table("t", pd.DataFrame({"y": ["a"] * 90 + ["b"] * 10}), {})
    first, second = (split_table(table, "y", seed).frame for seed in (0, 1))
    assert first[first.split == "test"].y.value_counts().to_dict() == {"a": 27, "b": 3}
    assert (first.split != second.split).any()
    assert split_table(Table("t", first, {}), "y", 1).frame is first


def test_exact_probabilities_show_the_error_of_chance():
    rng = np.random.default_rng(0)
    p = np.full((1500, 2), 0.5) + rng.uniform(-1e-6, 1e-6, (1500, 1)) * [1, -1]
    # mean of |share − 1/2| over bins of 100 coins
    expected = np.sqrt(2 / np.pi) * 0.5 / np.sqrt(100)
    assert exact_error(p, np.ones(1500), 1) == pytest.approx(expected, rel=0.05)


def rows(table, corrected, change):
    figures = {"raw": 4.0, "shift": 3.0, "exact": 1.0, "balanced": 20.0}
    more = {"balanced_standard_error": 0.5, "change_interval": [change - 1, change + 1]}
    return [
        {"table": table, "corrected": corrected + d, "change": change + d, **figures, **more}
        for d in (-0.1, 0.1)
    ]


@pytest.mark.parametrize(("change", "met"), [(0.4, True), (-0.6, False)])
def test_the_goal_needs_three_tables_that_keep_both_promises(change, met):
    summary = summarise(
        [*rows("a", 1.0, 0), *rows("b", 2.0, 0), *rows("c", 0.5, change), *rows("d", 3.0, 0)]
    )
    assert [entry["ratio"] for entry in summary] == pytest.approx([0.25, 0.5, 0.125, 0.75])
    assert summary[0]["corrected_sd"] == pytest.approx(np.std([0.9, 1.1], ddof=1))
    assert goal_met(summary) == met
