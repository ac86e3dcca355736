"""Ranks of a data-parallel training move one loss, by the mean of their hypergradients."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch import nn

from autobalance.hypergradient.estimate import Hypergradient, Record
from autobalance.hypergradient.ranks import mean_over_ranks

RECORD = Record(1.0, 2.0, 3.0, 4.0, 5.0, 6, 7.0)
LIKE = (torch.ones(2, 1), torch.ones(3))

RANK = """
    import json, sys
    import numpy as np, torch, torch.distributed as dist
    from torch import nn
    from autobalance import OnlineSearch, ParametricCrossEntropy, preset
    from autobalance.counts import Counts
    from autobalance.search.online_settings import OnlineSettings

    rank, store = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 3))
    loss = ParametricCrossEntropy.from_design(
        preset("logit-adjustment", Counts(np.array([[48.0], [24.0], [8.0]]), (0, 1, 2)))
    )
    x, y = torch.randn(120, 4), torch.arange(120) % 3
    x[torch.arange(120), y] += 1
    mine = slice(rank, None, 2)
    held_out = [(x[60:][mine], y[60:][mine])]
    settings = OnlineSettings(every=1, recent_batches=1)
    search = OnlineSearch(model, loss, "balanced", held_out, settings=settings)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(4):
        inputs, targets = x[:60][mine].clone(), y[:60][mine]
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        optimizer.step()
        if step == 2 and rank == 1:
            inputs[0, 0] = torch.nan
        search.step(inputs, targets)
    print(json.dumps({
        "additive": loss.additive.tolist(),
        "refused": [move.refused for move in search.history],
        "risks": search.history[-1].risks.tolist(),
    }))
    dist.destroy_process_group()
"""


def test_two_ranks_end_with_one_loss_and_refuse_together(tmp_path):
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RANK), str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    first, second = (json.loads(rank.communicate(timeout=120)[0]) for rank in ranks)
    assert first["risks"] != second["risks"]  # they see different examples
    assert first["additive"] == second["additive"]
    assert [bool(why) for why in first["refused"]] == [False, False, True, False]
    assert "another rank" in first["refused"][2]
    assert "not finite" in second["refused"][2]


def an_estimate():
    return Hypergradient((torch.tensor([[1.0], [2.0]]), torch.arange(3.0)), 0.5, RECORD)


def test_without_data_parallelism_it_is_the_rank_s_own():
    estimate = an_estimate()
    assert mean_over_ranks(estimate, nn.Linear(1, 1), LIKE) is estimate
    assert mean_over_ranks(None, nn.Linear(1, 1), LIKE) is None


@pytest.fixture
def one_rank():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield nn.parallel.DistributedDataParallel(nn.Linear(1, 1))
    dist.destroy_process_group()


def test_of_one_rank_the_mean_is_its_own(one_rank):
    estimate = an_estimate()
    mean = mean_over_ranks(estimate, one_rank, LIKE)
    for found, own in zip(mean.loss, estimate.loss, strict=True):
        assert found.equal(own)
    assert (mean.weight_decay, mean.record) == (estimate.weight_decay, estimate.record)
    assert mean_over_ranks(None, one_rank, LIKE) is None


def test_slopes_of_inputs_are_averaged_beside_those_of_the_loss(one_rank):
    inputs = (torch.arange(4.0).view(2, 1, 1, 2), torch.ones(2, 1, 1, 2).double())
    estimate = replace(an_estimate(), inputs=inputs)
    mean = mean_over_ranks(estimate, one_rank, (*LIKE, *inputs))
    assert [part.shape for part in mean.loss] == [part.shape for part in LIKE]
    for found, own in zip((*mean.loss, *mean.inputs), (*estimate.loss, *inputs), strict=True):
        assert found.equal(own)
        assert found.dtype == own.dtype
    assert mean.weight_decay == estimate.weight_decay
    assert mean_over_ranks(None, one_rank, (*LIKE, *inputs)) is None


def two_ranks(monkeypatch, other):
    """Each tensor that is reduced gets what the other rank has."""

    def all_reduce(packed, group):
        sent.append(packed.clone())
        packed += other

    sent = []
    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(dist, "get_world_size", lambda group: 2)
    return sent


def test_two_ranks_have_the_mean_of_slopes_of_inputs(monkeypatch, one_rank):
    inputs = (torch.tensor([[[[2.0]]]]), torch.tensor([[[[4.0]]]]))
    estimate = replace(an_estimate(), inputs=inputs)
    numbers = 2 + 3 + 1 + 1
    other = torch.cat([torch.full((numbers,), 10.0).double(), torch.tensor([1.5, 0.0]).double()])
    two_ranks(monkeypatch, other)
    mean = mean_over_ranks(estimate, one_rank, (*LIKE, *inputs))
    assert [float(part) for part in mean.inputs] == [6.0, 7.0]
    assert mean.loss[1].tolist() == [5.0, 5.5, 6.0]
    assert mean.weight_decay == 1.0


def test_a_rank_without_an_estimate_sends_as_many_numbers_as_the_others(monkeypatch, one_rank):
    inputs = (torch.ones(2, 1, 1, 2), torch.ones(2, 1, 1, 2))
    sent = two_ranks(monkeypatch, 0.0)
    assert mean_over_ranks(None, one_rank, (*LIKE, *inputs)) is None
    mean_over_ranks(replace(an_estimate(), inputs=inputs), one_rank, (*LIKE, *inputs))
    assert sent[0].shape == sent[1].shape
    assert sent[0].tolist() == [0.0] * (len(sent[0]) - 1) + [1.0]
    assert sent[1][-1] == 0
