"""Ranks: what they share, add up and say, tried as the two of a pretended pair."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autobalance.errors import DataError, SearchError
from autobalance.hypergradient.wrappers import ranks_of
from autobalance.ranks import ALONE, Ranks, across_ranks, current_ranks
from autobalance.training.stratified import StratifiedBatchSampler


@pytest.fixture
def one_rank():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@given(st.integers(0, 40), st.integers(1, 5))
def test_the_parts_of_a_batch_make_it_up(length, size):
    index = torch.arange(length)
    parts = [Ranks(number, size).part(index) for number in range(size)]
    shares = [Ranks(number, size).part_of(length) for number in range(size)]
    assert sum(shares) == pytest.approx(1)
    if length < 2 * size:  # each takes it whole
        assert all(part.equal(index) for part in parts)
        return
    assert [share * length for share in shares] == pytest.approx([len(part) for part in parts])
    assert sorted(torch.cat(parts).tolist()) == list(range(length))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_own_places_follow_each_other(lengths):
    places = [Ranks(number, len(lengths)).own(lengths) for number in range(len(lengths))]
    assert [place.stop - place.start for place in places] == lengths
    assert [place.start for place in places] == [0, *np.cumsum(lengths)[:-1]]


def test_one_process_is_left_alone():
    tensor = torch.arange(3.0, requires_grad=True)
    assert ALONE.total(tensor) is tensor
    assert ALONE.gathered(tensor) is tensor
    assert ALONE.share(7) == 1.0
    assert ALONE.each(b"a") == [b"a"]
    assert ALONE.of_first(None) is None
    with across_ranks() as ranks:
        assert ranks is ALONE
    assert ranks_of(nn.Linear(1, 1)) is ALONE


def test_within_a_process_group_its_ranks_are_current(one_rank):
    with across_ranks() as ranks:
        assert (ranks.number, ranks.size) == (0, 1)
        assert current_ranks() is ranks
    assert current_ranks() is ALONE
    assert dist.is_initialized()  # it was there before


def test_a_wrapped_model_brings_its_ranks(one_rank):
    group = dist.new_group([0])
    model = nn.parallel.DistributedDataParallel(nn.Linear(1, 1), process_group=group)
    assert ranks_of(model) == Ranks(0, 1, group)
    assert ranks_of(torch.nn.Sequential(nn.Linear(1, 1))) is ALONE


@pytest.fixture
def first_of_two(monkeypatch):
    """The first of two ranks; the other one adds ``other`` to what is summed."""

    def of(*other):
        rest = iter(other)

        def all_reduce(tensor, group=None):
            tensor += torch.as_tensor(next(rest), dtype=tensor.dtype)

        monkeypatch.setattr(dist, "all_reduce", all_reduce)
        return Ranks(0, 2)

    return of


def test_lengths_may_differ(first_of_two):
    ranks = first_of_two([0, 1], [[0, 0], [0, 0], [5, 6]])
    assert ranks.gathered(torch.tensor([[1, 2], [3, 4]])).tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_share_is_of_all_examples(first_of_two):
    assert first_of_two([0, 6]).share(2) == 0.25


def test_a_total_leaves_what_it_is_of_as_it_was(first_of_two):
    tensor = torch.ones(2, 3).T.requires_grad_()
    total = first_of_two(torch.full((3, 2), 2.0)).total(tensor)
    assert total.equal(torch.full((3, 2), 3.0))
    assert not total.requires_grad
    assert tensor.equal(torch.ones(3, 2))


def test_what_each_has_is_told_apart(first_of_two):
    assert first_of_two([0, 1], [0, 0, ord("c")]).each(b"ab") == [b"ab", b"c"]


def test_nothing_is_what_the_first_may_have(first_of_two):
    assert first_of_two([0, -1]).of_first(None) is None
    assert first_of_two([0, -1], [0, 0]).of_first(b"ab") == b"ab"


def test_a_lost_rank_is_said_in_one_sentence(one_rank, monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: 2)
    with (
        pytest.raises(SearchError, match=r"rank 0 has lost the others .*goes on from"),
        across_ranks(),
    ):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection closed by peer\nmore")
    with pytest.raises(RuntimeError, match="shapes"), across_ranks():
        raise RuntimeError("shapes do not fit")
    assert current_ranks() is ALONE


def test_a_group_without_the_cpu_is_refused(one_rank, monkeypatch):
    monkeypatch.setattr(dist, "get_backend_config", lambda: "cuda:nccl")
    with pytest.raises(DataError, match="cpu:gloo,cuda:nccl"), across_ranks():
        pass


def test_processes_that_cannot_find_each_other_are_told_of_torchrun(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match="torchrun"), across_ranks():
        pass


def cells(sampler, *labels):
    return [[tuple(int(each[at]) for each in labels) for at in batch] for batch in sampler]


def test_batches_show_each_cell_alike_on_each_of_two_ranks():
    target = np.repeat([0, 0, 1, 1], [60, 20, 12, 8])
    group = np.repeat([0, 1, 0, 1], [60, 20, 12, 8])
    alone = StratifiedBatchSampler(target, group, 24, seed=3)
    both = [
        StratifiedBatchSampler(target, group, 24, seed=3, ranks=Ranks(number, 2))
        for number in range(2)
    ]
    assert len(alone) == 5
    batches = list(alone)
    shares = [list(each) for each in both]
    for batch, first, second in zip(batches, *shares, strict=True):
        assert sorted(batch) == sorted(first + second)
    for each in (*both, StratifiedBatchSampler(target, group, 24)):
        for batch in cells(each, target, group):
            shown = [batch.count(cell) for cell in ((0, 0), (0, 1), (1, 0), (1, 1))]
            assert len(set(shown)) == 1
            assert shown[0] in (3, 6)
    assert batches != list(alone)  # another epoch has other batches


def test_labels_of_any_kind_are_cells():
    sampler = StratifiedBatchSampler(["a", "b", "b"], [True, False, True], 3)
    assert sorted(next(iter(sampler))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("targets", "groups", "size", "message"),
    [
        ([], None, 4, r"\(0,\)"),
        ([0, 1], [0], 4, r"\(1,\), \(2,\)"),
        ([[0, 1]], None, 4, r"\(1, 2\)"),
        ([0, 1], None, 0, "size is 0"),
    ],
)
def test_what_cannot_be_sampled_is_refused(targets, groups, size, message):
    with pytest.raises(DataError, match=message):
        StratifiedBatchSampler(targets, groups, size)
