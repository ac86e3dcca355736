"""Means, paired differences and goals, by hand."""

import pytest

from benchmarks.long_tail.methods import DESIGNED, FIXED, GRID, HEADLINE
from benchmarks.long_tail.summary import goals, summarise


def row(method, seed, balanced, kind=FIXED):
    errors = {"balanced": balanced, "class_errors": [balanced, balanced]}
    return {"method": method, "kind": kind, "seed": seed, "seconds": 1.0, **errors}


ROWS = [
    *(row(HEADLINE, seed, value, DESIGNED) for seed, value in enumerate((10.0, 12.0, 11.0))),
    *(row("VS", seed, value) for seed, value in enumerate((11.0, 14.0, 12.5))),
    *(row("LA", seed, value) for seed, value in enumerate((20.0, 20.0))),
    *(row("ours, less", seed, value, DESIGNED) for seed, value in enumerate((9.0, 9.0, 9.0))),
    *(row("ours, by grid", seed, value, GRID) for seed, value in enumerate((9.0, 10.0, 11.0))),
]


def test_differences_are_paired_by_seed():
    entries = {entry["method"]: entry for entry in summarise(ROWS)}
    assert list(entries) == ["ours, less", "ours, by grid", HEADLINE, "VS", "LA"]
    assert entries["VS"]["difference"] == pytest.approx(1.5)
    assert entries["VS"]["difference_standard_error"] == pytest.approx(0.5 / 3**0.5)
    assert entries["LA"]["difference"] == pytest.approx(9.0)  # of the two seeds that both have
    assert entries[HEADLINE]["difference"] == 0
    assert entries[HEADLINE]["standard_error"] == pytest.approx(1 / 3**0.5)


def test_goals_are_about_the_best_known_loss():
    reached = goals("cifar10-lt", summarise(ROWS))
    assert [facts["over"] for facts in reached.values()] == ["VS", "VS"]
    assert all(facts["met"] for facts in reached.values())
    close = [
        entry | {"balanced": entry["balanced"] - 0.8} for entry in ROWS if entry["method"] == "VS"
    ]
    missed = goals("cifar10-lt", summarise([*ROWS[:3], *close]))
    assert [facts["met"] for facts in missed.values()] == [True, False]
    assert len(goals("fashion-mnist-lt", summarise(ROWS))) == 1


def test_one_seed_or_no_headline_reaches_nothing():
    assert goals("cifar10-lt", summarise(ROWS[3:6])) == {}
    one = goals("fashion-mnist-lt", summarise([ROWS[0], ROWS[3]]))
    assert [facts["met"] for facts in one.values()] == [False]
