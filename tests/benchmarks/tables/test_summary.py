"""Means, ranks and goals from predictions made by hand."""

import numpy as np
import pytest

from autobalance.contest.contenders import OURS
from benchmarks.tables.cases import Case
from benchmarks.tables.summary import goals, mean_ranks, summarise_case

BY_CLASS = Case("toy", "kind")
WITH_SPLIT = Case("toy", "kind", split="part")


def part(wrong, seed=0, rows=100):
    """Predictions with so many errors in each of two classes, by method."""
    y = np.repeat([0, 1], rows)
    predicted, table = {}, []
    for method, numbers in wrong.items():
        codes = y.copy()
        for k, number in enumerate(numbers):
            codes[k * rows : k * rows + number] = 1 - k
        predicted[method] = codes.tolist()
        table.append(
            {
                "method": method,
                "headline": method == OURS,
                "ranked": method != "boosted",
                "value": 50 * sum(numbers) / rows,
                "seconds": 1.0,
            }
        )
    return {"rows": table, "y": y.tolist(), "g": [0] * 2 * rows, "predicted": predicted}


def by_method(case):
    return {entry["method"]: entry for entry in case["methods"]}


def test_outer_folds_are_pooled_and_a_test_split_is_averaged():
    parts = [part({OURS: (10, 20)}), part({OURS: (30, 40)}, rows=200)]
    folds = by_method(summarise_case(BY_CLASS, parts))[OURS]
    assert folds["value"] == pytest.approx(100 * (40 / 300 + 60 / 300) / 2)
    assert folds["mean"] == pytest.approx((15 + 17.5) / 2)
    assert folds["sd"] == pytest.approx(np.std([15, 17.5], ddof=1))
    same = [part({OURS: (10, 20)}), part({OURS: (30, 40)})]
    assert by_method(summarise_case(WITH_SPLIT, same))[OURS]["value"] == pytest.approx(25)


def test_equal_errors_share_a_rank_and_the_unranked_has_none():
    case = summarise_case(
        BY_CLASS, [part({OURS: (10, 10), "a": (5, 5), "b": (10, 10), "boosted": (0, 0)})]
    )
    methods = by_method(case)
    assert [methods[name]["rank"] for name in (OURS, "a", "b")] == [2.5, 1, 2.5]
    assert "rank" not in methods["boosted"]
    assert case["best"] == "a"


@pytest.mark.parametrize(("behind", "ties"), [(0, True), (1, True), (20, False)])
def test_the_headline_ties_within_one_standard_error(behind, ties):
    # In class 0 each is wrong where the other is right, ten times; class 1 sets them apart.
    data = part({OURS: (10, 10 + behind), "a": (0, 10)})
    data["predicted"]["a"][50:60] = [1] * 10
    case = summarise_case(BY_CLASS, [data])
    assert case["headline_ties"] is ties
    assert case["headline_is_best"] is (behind == 0)


def test_leads_compare_over_shared_cases():
    cases = [
        summarise_case(BY_CLASS, [part({OURS: (5, 5), "a": (6, 6), "b": (9, 9)})]),
        summarise_case(BY_CLASS, [part({OURS: (5, 5), "a": (4, 4)})]),
    ]
    ranks = {entry["method"]: entry for entry in mean_ranks(cases)}
    assert ranks[OURS]["mean_rank"] == 1.5
    assert (ranks["a"]["mean_rank"], ranks["a"]["lead"], ranks["a"]["cases"]) == (1.5, 0, 2)
    assert (ranks["b"]["mean_rank"], ranks["b"]["lead"], ranks["b"]["cases"]) == (3, 2, 1)


def test_goals_name_what_was_missed():
    good = summarise_case(BY_CLASS, [part({OURS: (5, 5), "a": (20, 20)})])
    bad = summarise_case(BY_CLASS, [part({OURS: (40, 40), "a": (5, 5)})])
    tied, lead = goals([good], mean_ranks([good])).values()
    assert tied["met"]
    assert lead == {"met": True, "lead": 1.0, "over": "a"}
    tied, lead = goals([good, bad], mean_ranks([good, bad])).values()
    assert tied["missed"] == ["toy by class, balanced"]
    assert not lead["met"]
