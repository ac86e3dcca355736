"""Gains on logit adjustment, by hand."""

import pytest

from benchmarks.search_study.study import summarise
from benchmarks.search_study.variants import LOGIT_ADJUSTMENT


def row(variant, seed, balanced):
    return {
        "question": "?",
        "variant": variant,
        "seed": seed,
        "balanced": balanced,
        "search_seconds": 1.0,
    }


def test_gains_are_paired_by_seed():
    rows = [row(LOGIT_ADJUSTMENT, 0, 10.0), row(LOGIT_ADJUSTMENT, 1, 14.0)]
    rows += [row("ours", 0, 9.0), row("ours", 1, 12.0), row("ours", 2, 30.0)]
    first, second = summarise(rows, LOGIT_ADJUSTMENT)
    assert (first["gain"], first["standard_error"]) == (0.0, 0.0)
    assert second["gain"] == pytest.approx(1.5)
    assert second["standard_error"] == pytest.approx(0.5)
    assert second["balanced"] == pytest.approx(17.0)


def test_without_logit_adjustment_there_is_no_gain():
    (entry,) = summarise([row("ours", 0, 9.0)], LOGIT_ADJUSTMENT)
    assert entry["gain"] is None
