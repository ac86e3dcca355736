"""What a step of the search costs does not grow with the classes."""

import pytest
import torch

from autobalance.models.small_cnn import SmallCNN
from benchmarks.many_classes import CLUSTERS, EVERY, Case, goal, measure


def a_case(classes, dictionary="class"):
    torch.manual_seed(0)
    sizes = {"side": 16, "batch": 32, "held_out": 64}
    return Case(SmallCNN(classes, 3, (16, 16)), classes, dictionary, **sizes)


@pytest.mark.slow
def test_a_step_of_the_search_costs_as_much_with_thousands_of_classes():
    """Of so small a network the last layer is much, and times vary: a generous bound."""
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = measure([a_case(10), a_case(8142), a_case(8142, CLUSTERS)], 3)
    finally:
        torch.set_num_threads(torch_threads)
    few, *many = (row["ratio"] for row in rows)
    assert max(many) < 2 * few
    assert [row["dimension"] for row in rows] == [20, 2 * 8142, 2 * 204]


def test_a_held_out_batch_shows_classes_alike_or_a_fresh_subset():
    few, many = a_case(10), a_case(100)
    assert set(torch.bincount(few.held_out_batch()[1], minlength=10).tolist()) == {6, 7}
    first, second = (set(many.held_out_batch()[1].tolist()) for _ in range(2))
    assert len(first) == len(second) == 64
    assert first != second


def test_every_round_trains_and_moves_the_loss_once():
    case = a_case(10)
    search = case._search
    assert min(case.round()) > 0
    assert [step.iteration for step in search.history] == [EVERY]


def test_the_goal_compares_the_most_classes_with_the_fewest():
    def row(classes, dictionary, ratio):
        return {"classes": classes, "dictionary": dictionary, "ratio": ratio}

    rows = [row(10, "class", 20.0), row(100, "class", 40.0), row(8142, "class", 21.0)]
    assert goal(rows)["met"]
    assert goal(rows)["growth"] == {"class": pytest.approx(1.05)}
    rows.append(row(8142, "cluster:40", 22.5))
    assert not goal(rows)["met"]
