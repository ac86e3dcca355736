import numpy as np
import pytest

from benchmarks.held_out_loss import summarise, thinned_halves

TARGET = np.repeat(["often", "seldom", "rare"], [400, 200, 60])


def test_the_rarest_third_is_thinned_in_the_training_half_alone():
    kept, marks = thinned_halves(TARGET, 8, 0)
    assert len(np.unique(kept)) == len(kept) == len(marks)
    counts = {
        part: dict(zip(*np.unique(TARGET[kept[marks == part]], return_counts=True), strict=True))
        for part in ("train", "test")
    }
    assert counts == {
        "train": {"often": 200, "seldom": 100, "rare": 8},
        "test": {"often": 200, "seldom": 100, "rare": 30},
    }


def test_the_seed_draws_the_halves():
    (first, _), (again, _), (other, _) = (thinned_halves(TARGET, 8, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_differences_are_paired_by_seed():
    rows = [
        {"table": "t", "examples": 8, "held_out_loss": loss, "seed": seed, "balanced": value}
        for seed, pair in enumerate([(10.0, 11.0), (20.0, 22.0), (30.0, 33.0)])
        for loss, value in zip(("error", "cross-entropy"), pair, strict=True)
    ]
    (entry,) = summarise(rows)
    assert (entry["error"], entry["cross-entropy"]) == (20, 22)
    assert entry["difference"] == pytest.approx(-2)
    assert entry["standard_error"] == pytest.approx(1 / np.sqrt(3))
