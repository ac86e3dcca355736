"""Held-out batches without end: rounds, random streams of their own, and states."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from autobalance.errors import DataError
from autobalance.search.stream import HeldOutStream

X, Y = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])


class Whole(list):
    whole = True


class Counting:
    """A loader of numbered batches that knows where it is."""

    def __init__(self) -> None:
        self.place = 0

    def __iter__(self):
        while True:
            self.place += 1
            yield X + self.place, Y

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def test_rounds_follow_one_another():
    stream = HeldOutStream([(X[:3], Y[:3]), (X[3:], Y[3:])])
    assert [float(stream.take().inputs[0, 0]) for _ in range(5)] == [0, 6, 0, 6, 0]


def test_a_shuffled_loader_is_shuffled_anew_and_the_caller_does_not_notice():
    stream = HeldOutStream(DataLoader(TensorDataset(X, Y), 6, shuffle=True))
    before = torch.get_rng_state()
    orders = {tuple(stream.take().inputs[:, 0].tolist()) for _ in range(4)}
    assert len(orders) == 4
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("loader", "whole"),
    [
        ([(X, Y)], True),
        ([(X, Y)] * 2, False),
        (Whole([(X, Y)] * 2), True),
        (DataLoader(TensorDataset(X, Y), 6), False),
    ],
)
def test_whole_is_a_list_of_one_or_what_says_so(loader, whole):
    assert HeldOutStream(loader).whole == whole


def test_it_goes_on_from_its_state():
    loaders = [DataLoader(TensorDataset(X, Y), 6, shuffle=True) for _ in range(2)]
    stream, resumed = map(HeldOutStream, loaders)
    stream.take()
    resumed.load_state_dict(stream.state_dict())
    assert torch.equal(resumed.take().inputs, stream.take().inputs)


def test_a_loader_goes_on_from_its_own_state():
    stream, resumed = HeldOutStream(Counting()), HeldOutStream(Counting())
    stream.take()
    state = stream.state_dict()
    assert state["held_out"] == {"place": 1}
    resumed.load_state_dict(state | {"iteration": 7})
    assert torch.equal(resumed.take().inputs, stream.take().inputs)


@pytest.mark.parametrize(("loader", "said"), [([], "yields no batch"), ([X], "must yield")])
def test_what_yields_no_labelled_examples_is_refused(loader, said):
    with pytest.raises(DataError, match=said):
        HeldOutStream(loader).take()
