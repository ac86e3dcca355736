"""What a policy costs is told relative to the same repeat, and noise by either estimator."""

import numpy as np
import pytest
import torch

import benchmarks.augmentation as cost

CPU = torch.device("cpu")


def test_clusters_differ_in_their_values_alone():
    one, ten = cost.clustered(1, 3), cost.clustered(10, 3)
    assert one.sub_policies == ten.sub_policies
    for policy, clusters in ((one, 1), (ten, 10)):
        assert len(np.unique(policy.probability[:, 0, 0, 0])) == clusters
        assert len(np.unique(policy.magnitude[:, 0, 0, 0])) == clusters


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(cost, "SHAPES", {"small": (1, 16, 16)})


@pytest.mark.usefixtures("small")
def test_steps_are_told_relative_to_none_and_to_the_single_policy(monkeypatch):
    seconds = iter([2.0, 3.0, 3.3, 4.5])
    monkeypatch.setattr(cost, "_seconds", lambda *_: next(seconds))
    monkeypatch.setattr(cost, "_torchvision", lambda: None)
    rows = list(cost.step_costs(1, 1, "strided-cnn", CPU))
    assert [row["ratio"] for row in rows] == [1.0, 1.5, 1.65, 2.25]
    assert [row["to_single"] for row in rows][1:] == [1.0, 1.1, 1.5]


@pytest.mark.usefixtures("small")
def test_every_search_moves_when_it_is_timed(monkeypatch):
    searches, made = [], cost._search

    def kept(*arguments):
        searches.append(made(*arguments))
        return searches[-1]

    monkeypatch.setattr(cost, "_search", kept)
    rows = list(cost.search_costs(2, "strided-cnn", CPU))
    assert [row["ratio"] for row in rows if row["searched"] == "l and δ"] == [1.0, 1.0]
    assert [len(search.history) for search in searches] == 3 * [3]  # the first does not count
    assert not any(move.refused for search in searches for move in search.history)


def test_noise_is_that_of_slopes(monkeypatch):
    monkeypatch.setattr(cost.planted, "EPOCHS", 2)
    rows = list(cost.noise(3, 1))
    assert [row["values"] for row in rows] == 2 * list(cost.POLICY_PARAMETERS)
    assert all(row["noise"] > 0 and row["size"] > 0 for row in rows)


def test_the_summary_has_medians_and_ranges():
    row = {"part": "step", "images": "small", "augmentation": "none"}
    rows = [{**row, "repeat": at, "ratio": ratio} for at, ratio in enumerate((1.0, 3.0, 1.5))]
    assert cost.summarise(rows) == [{**row, "ratio": 1.5, "ratio_range": [1.0, 3.0]}]


@pytest.mark.parametrize(("dearest", "met"), [(1.3, True), (1.31, False)])
def test_the_goal_is_of_the_dearest_images(dearest, met):
    step = {"part": "step", "augmentation": "10 clusters"}
    others = [{**step, "augmentation": "40 clusters", "to_single": 9.0}, {"part": "search"}]
    summary = [{**step, "to_single": 1.0}, {**step, "to_single": dearest}, *others]
    assert cost.goal(summary) == {"at_most": 1.3, "met": met}
