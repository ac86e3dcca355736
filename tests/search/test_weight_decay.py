"""One number for the weight decays of all groups."""

import pytest
import torch
from torch import nn

from autobalance.search.weight_decay import WeightDecay
from autobalance.space import RIDGE_FLOOR


def an_optimizer(*decays):
    parameters = [nn.Parameter(torch.zeros(2)) for _ in decays]
    groups = [
        {"params": [parameter], "weight_decay": decay}
        for parameter, decay in zip(parameters, decays, strict=True)
    ]
    return parameters, torch.optim.SGD(groups, 0.1)


@pytest.mark.parametrize(
    ("decays", "largest", "after"),
    [
        ((0.02, 0.02), 0.02, (0.5, 0.5)),
        ((0.01, 0.04), 0.04, (0.125, 0.5)),
        ((0.0, 0.04), 0.04, (0.0, 0.5)),
        ((0.0, 0.0), RIDGE_FLOOR, (0.5, 0.5)),
    ],
)
def test_ratios_are_kept(decays, largest, after):
    parameters, optimizer = an_optimizer(*decays)
    decay = WeightDecay(optimizer)
    assert decay.largest == largest
    assert decay.of(parameters) == list(decays)
    decay.set(0.5)
    assert decay.of(parameters) == pytest.approx(list(after))


def test_it_follows_an_optimizer_that_is_loaded():
    """Which gives it new groups."""
    _, optimizer = an_optimizer(0.01, 0.04)
    decay = WeightDecay(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    decay.set(0.08)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.02, 0.08]


def test_groups_that_are_added_later_keep_their_own():
    _, optimizer = an_optimizer(0.02)
    decay = WeightDecay(optimizer)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "weight_decay": 0.3})
    decay.set(0.5)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.3]


def test_what_is_in_no_group_or_has_no_such_setting_is_not_decayed():
    parameters, optimizer = an_optimizer(0.1)
    del optimizer.param_groups[0]["weight_decay"]
    decay = WeightDecay(optimizer)
    assert decay.of([*parameters, nn.Parameter(torch.zeros(1))]) == [0.0, 0.0]
