"""The cost of a pipeline is divided into its parts, and what is extrapolated follows from them."""

import gzip

import numpy as np
import pytest
import torch
from torch import nn

import benchmarks.pipeline_cost as cost
from autobalance.training.settings import TrainingSettings
from benchmarks.hypergradient.cases import CLASSES

PARTS = {cost.TRAINING, cost.MOVES, cost.CHECK, cost.MONITOR, cost.SAVES, cost.RETRAINING}


def images(n):
    y = torch.arange(n) % CLASSES
    noise = torch.randn(n, 1, 2, 2, generator=torch.Generator().manual_seed(n))
    return noise + y[:, None, None, None], y


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))


@pytest.fixture(scope="module")
def rows():
    settings = TrainingSettings(2, batch_size=20, learning_rate=0.01)
    return cost.compare(network, images(250), images(50), settings, seed=7)


def test_the_parts_make_up_the_whole(rows):
    ordinary, ours, *_ = rows
    assert set(ours["parts"]) == PARTS
    assert all(seconds > 0 for seconds in ours["parts"].values())
    assert sum(ours["parts"].values()) == pytest.approx(ours["seconds"])
    assert sum(cost.shares(rows).values()) == pytest.approx(ours["ratio"])
    assert ours["ratio"] == ours["seconds"] / ordinary["seconds"]
    assert ordinary["ratio"] == 1
    assert {row["seed"] for row in rows} == {7}


def test_published_steps_stand_in_for_ours(rows):
    _, ours, every, as_often = rows
    assert every["steps_of_the_loss"] == 12  # the search has twenty iterations, eight to warm up
    assert ours["steps_of_the_loss"] == as_often["steps_of_the_loss"] == 2
    rest = ours["seconds"] - ours["parts"][cost.MOVES] - ours["parts"][cost.CHECK]
    for row in (every, as_often):
        assert row["extrapolated"]
        assert row["balanced"] is None
        expected = rest + row["steps_of_the_loss"] * row["seconds_of_a_step"]
        assert row["seconds"] == pytest.approx(expected)


def test_ordinary_trainings_end_alike_whether_steps_are_timed_or_not():
    settings = TrainingSettings(4, batch_size=20, learning_rate=0.01)
    plain, timed = (
        cost.train_ordinarily(network, images(100), images(50), settings, 0, timed=timed)
        for timed in (0, 3)
    )
    assert plain.balanced == timed.balanced
    assert (len(plain.published), len(timed.published)) == (0, 3)


def test_medians_and_the_goal():
    rows = [
        {"method": method, "seed": seed, "ratio": ratio, "seconds": 10 * ratio, "balanced": error}
        for method, ratios, error in (
            (cost.OURS, (2.2, 2.6, 2.4), 12.0),
            (cost.EVERY, (70.0, 90.0, 80.0), None),
        )
        for seed, ratio in enumerate(ratios)
    ]
    ours, published = cost.summarise(rows)
    assert ours == {
        "method": cost.OURS,
        "ratio": 2.4,
        "lowest": 2.2,
        "highest": 2.6,
        "seconds": 24.0,
        "balanced": 12.0,
    }
    assert (published["ratio"], published["balanced"]) == (80, None)
    assert cost.goal(rows) == {"at_most": 2.5, "ratio": 2.4, "met": True}
    assert not cost.goal([row | {"ratio": 2.6} for row in rows])["met"]


def test_fashion_mnist_is_read_and_cut(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 2000), ("t10k", 30)):
        pixels = rng.integers(256, size=(n, 28, 28), dtype=np.uint8)
        classes = (np.arange(n) % CLASSES).astype(np.uint8)
        for name, content in (("images-idx3", pixels), ("labels-idx1", classes)):
            sizes = b"".join(size.to_bytes(4, "big") for size in content.shape)
            data = gzip.compress(bytes([0, 0, 8, content.ndim]) + sizes + content.tobytes())
            (tmp_path / f"{part}-{name}-ubyte.gz").write_bytes(data)
    train, test = cost.read_fashion_mnist(tmp_path)
    assert np.bincount(train[1]).tolist() == [200, 120, 72, 44, 26, 16, 10, 6, 4, 2]
    assert test[0].shape == (30, 1, 28, 28)
    assert torch.equal(test[0][3, 0], torch.from_numpy(pixels[3] / np.float32(255)))
    assert test[1].tolist() == classes.tolist()
