import numpy as np
import pytest

from benchmarks.costs import COSTS, compare, designed, draw, summarise


def test_every_method_decides_on_the_same_examples():
    rows = compare("of the true class", 0, trained=150, tested=400)
    assert len({row["method"] for row in rows}) == len(rows) == 9
    _, y = draw(550, 0)
    dearest = COSTS["of the true class"].max(axis=1)[y[150:]].mean()
    assert all(0 < row["cost"] < dearest for row in rows)


def test_differences_to_the_designed_loss_are_paired_by_seed():
    rows = [
        {"costs": "c", "seed": seed, "method": name, "cost": cost}
        for seed, pair in enumerate([(1.0, 2.0), (10.0, 12.0), (20.0, 23.0)])
        for name, cost in zip((designed(2.0), "other"), pair, strict=True)
    ]
    ours, other = summarise(rows)
    assert (ours["difference"], ours["standard_error"]) == (0, 0)
    assert other["difference"] == pytest.approx(2)
    assert other["standard_error"] == pytest.approx(1 / np.sqrt(3))
