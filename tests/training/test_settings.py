"""Learning rates follow their formulas, and torch's own schedules where these say the same."""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from autobalance.errors import DataError
from autobalance.training.settings import TrainingSettings

EPOCHS, STEPS = 10, 70  # seven batches an epoch


def rates(schedule, optimizer, steps=STEPS):
    """The learning rate of each step."""
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def optimizer(rate):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], rate)


def ours(**settings):
    settings = TrainingSettings(EPOCHS, learning_rate=0.4, **settings)
    stepper = settings.make_optimizer(nn.Linear(1, 1))
    return rates(settings.make_schedule(stepper, STEPS), stepper)


def theirs(make):
    stepper = optimizer(0.4)
    return rates(make(stepper), stepper)


def test_cosine_ends_at_zero():
    assert ours() == pytest.approx(
        [0.2 + 0.2 * math.cos(math.pi * t / STEPS) for t in range(STEPS)]
    )
    assert ours() == pytest.approx(theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)))


def test_constant():
    assert ours(schedule="constant") == [0.4] * STEPS


def test_multistep_as_in_the_paper():
    of_paper = TrainingSettings(300, schedule="multistep")
    stepper = of_paper.make_optimizer(nn.Linear(1, 1))
    by_epoch = rates(of_paper.make_schedule(stepper, 300), stepper, 300)
    assert by_epoch == pytest.approx([0.1] * 220 + [0.01] * 40 + [0.001] * 40)


def test_multistep_milestones_are_shares_of_the_epochs():
    milestones = [21, 56]  # steps at which epochs 3 and 8 are over
    expected = theirs(lambda o: lr_scheduler.MultiStepLR(o, milestones, gamma=0.2))
    assert ours(schedule="multistep", milestones=(0.3, 0.8), decay=0.2) == pytest.approx(expected)


def test_warm_up_rises_linearly_and_the_schedule_follows():
    warm_up = 14  # two epochs
    expected = [0.4 * (t + 1) / 15 for t in range(warm_up)]
    rest = STEPS - warm_up
    expected += [0.2 + 0.2 * math.cos(math.pi * t / rest) for t in range(rest)]
    assert ours(warm_up_epochs=2.0) == pytest.approx(expected)

    def sequence(stepper):
        rising = lr_scheduler.LinearLR(stepper, 1 / (warm_up + 1), total_iters=warm_up)
        falling = lr_scheduler.CosineAnnealingLR(stepper, rest)
        return lr_scheduler.SequentialLR(stepper, [rising, falling], [warm_up])

    assert ours(warm_up_epochs=2.0) == pytest.approx(theirs(sequence))


def test_the_default_optimizer_has_what_was_asked_for():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    settings = TrainingSettings(learning_rate=0.3, momentum=0.7, nesterov=True, weight_decay=0.01)
    stepper = settings.make_optimizer(model)
    assert isinstance(stepper, torch.optim.SGD)
    (group,) = stepper.param_groups
    assert [each is model.weight for each in group["params"]] == [True]
    assert {name: group[name] for name in ("lr", "momentum", "nesterov", "weight_decay")} == {
        "lr": 0.3,
        "momentum": 0.7,
        "nesterov": True,
        "weight_decay": 0.01,
    }


def steps(model, stepper):
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(20):
        stepper.zero_grad()
        model(x).square().mean().backward()
        stepper.step()
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def test_the_fused_step_is_the_step():
    first = nn.Linear(3, 4)
    fused, plain = copy.deepcopy(first), copy.deepcopy(first)
    settings = TrainingSettings(momentum=0.9, weight_decay=0.1, nesterov=True)
    ours = settings.make_optimizer(fused)
    assert ours.defaults["fused"]
    theirs = torch.optim.SGD(
        plain.parameters(), 0.1, momentum=0.9, weight_decay=0.1, nesterov=True, foreach=False
    )
    torch.testing.assert_close(steps(fused, ours), steps(plain, theirs))


@pytest.mark.parametrize(
    "model",
    [
        nn.Embedding(3, 2, sparse=True),
        nn.Linear(2, 2, dtype=torch.complex64),
        nn.Linear(2, 2, device="meta"),
    ],
    ids=["sparse", "complex", "elsewhere"],
)
def test_what_has_no_fused_step_is_stepped_without(model):
    assert not TrainingSettings().make_optimizer(model).defaults["fused"]


def test_sparse_gradients_are_stepped():
    model = nn.Embedding(3, 2, sparse=True)
    before = model.weight.detach().clone()
    stepper = TrainingSettings(weight_decay=0.0).make_optimizer(model)
    model(torch.tensor([1])).sum().backward()
    stepper.step()
    expected = torch.tensor([[0.0], [0.1], [0.0]]).expand(3, 2)
    torch.testing.assert_close(before - model.weight, expected)


def test_another_optimizer_gets_the_parameters():
    model = nn.Linear(2, 2)
    settings = TrainingSettings(optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02))
    stepper = settings.make_optimizer(model)
    assert isinstance(stepper, torch.optim.Adam)
    assert stepper.param_groups[0]["params"] == [model.weight, model.bias]
    # our schedule is a factor on its own rate
    first, second = rates(settings.make_schedule(stepper, 2), stepper, 2)
    assert (first, second) == pytest.approx((0.02, 0.01))


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0; use a whole number of at least 1"),
        ({"epochs": 2.0}, "epochs is 2.0; use a whole number"),
        ({"epochs": math.nan}, "epochs is nan; use a whole number"),
        ({"batch_size": -3}, "batch_size is -3; use a whole number"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1; it must be finite and not negative"),
        ({"momentum": math.nan}, "momentum is nan; it must be finite"),
        ({"weight_decay": math.inf}, "weight_decay is inf; it must be finite"),
        ({"decay": -1.0}, "decay is -1.0; it must be finite"),
        ({"warm_up_epochs": -1.0}, "warm_up_epochs is -1.0; it must be finite"),
        ({"workers": -1}, "workers is -1; use a whole number of processes, or 0"),
        ({"schedule": "linear"}, "schedule is 'linear'; use one of cosine, multistep, constant"),
        ({"precision": "float16"}, "precision is 'float16'; use one of float32, tf32, bfloat16"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov needs a momentum above 0"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(DataError, match=re.escape(message)):
        TrainingSettings(**settings)
