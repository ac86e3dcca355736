"""Training is what a loop written by hand does, and can be left and taken up."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils._python_dispatch import TorchDispatchMode

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.errors import ArtifactError, DataError, SearchError
from autobalance.losses.ldam import LDAMLoss
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Training, predict_logits
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

EPOCHS, SIZE = 3, 8
ADDITIVE = [0.0, -0.5, -1.0]


def examples_of(n=30):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (n,), generator=generator)
    return Examples(torch.randn(n, 4, generator=generator), y, None, (0, 1, 2))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))


def training(
    examples=None,
    size=SIZE,
    seed=0,
    additive=ADDITIVE,
    model=None,
    loss=None,
    policy=None,
    **settings,
):
    examples = examples_of() if examples is None else examples
    return Training(
        network() if model is None else model,
        ParametricCrossEntropy(additive=additive) if loss is None else loss,
        ShuffledBatches(examples, torch.arange(len(examples)), size, seed),
        TrainingSettings(**{"epochs": EPOCHS, "batch_size": size} | settings),
        augmentation=None if policy is None else PolicyAugmentation(policy),
        seed=seed,
    )


def by_hand(make_optimizer, make_schedule, by_epoch):
    """Final weights and the mean loss of each epoch."""
    model, examples = network().eval(), examples_of()
    optimizer = make_optimizer(model.parameters())
    schedule = make_schedule(optimizer)
    batches = ShuffledBatches(examples, torch.arange(30), SIZE, 0)
    means = []
    for _ in range(EPOCHS):
        model.train()
        losses = []
        for x, y, _ in batches:
            loss = F.cross_entropy(model(x) + torch.tensor(ADDITIVE), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += [loss.item()] * len(y)
            if not by_epoch:
                schedule.step()
        if by_epoch:
            schedule.step()
        means.append(sum(losses) / len(losses))
    return model.state_dict(), means


KINDS = {
    "default": (
        {},
        lambda parameters: torch.optim.SGD(
            parameters, 0.1, momentum=0.9, weight_decay=1e-4, fused=True
        ),
        lambda optimizer: lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / (4 * EPOCHS))
        ),
        False,
    ),
    "AdamW and StepLR": (
        {
            "optimizer": lambda parameters: torch.optim.AdamW(parameters, 0.01),
            "scheduler": lambda optimizer: lr_scheduler.StepLR(optimizer, 2),
        },
        lambda parameters: torch.optim.AdamW(parameters, 0.01),
        lambda optimizer: lr_scheduler.StepLR(optimizer, 2),
        True,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_loop_written_by_hand(kind):
    settings, *rest = KINDS[kind]
    weights, means = by_hand(*rest)
    run = training(**settings)
    run.run()
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, weights[name])
    assert [epoch.train_loss for epoch in run.history] == pytest.approx(means)
    assert [epoch.number for epoch in run.history] == [1, 2, 3]


WAITING = {"_local_scalar_dense", "nonzero", "equal", "masked_select"}


class Waits(TorchDispatchMode):
    """Counts the operations for which a GPU's host would wait."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket.__name__ in WAITING
        return function(*args, **(kwargs or {}))


def waits(n, **settings):
    run = training(examples_of(n), epochs=1, **settings)
    with Waits() as seen:
        run.run()
    return seen.count


def test_no_step_waits_for_the_device():
    """An epoch does, to read its loss and to look whether the weights are finite."""
    assert waits(3 * SIZE) == waits(9 * SIZE) > 0


def test_the_history_has_the_rate_that_an_epoch_began_with():
    run = training(learning_rate=0.2)
    run.run()
    rates = [epoch.learning_rate for epoch in run.history]
    assert rates == pytest.approx([0.2, 0.2 * 0.75, 0.2 * 0.25])  # cosine at 0, 1/3 and 2/3


def test_after_each_epoch_it_is_monitored_and_told():
    told = []
    run = training()
    run.monitor = lambda: [[float(len(run.history))]]
    run.run(on_epoch=told.append)
    assert told == run.history
    assert [epoch.cell_errors for epoch in told] == [[[0.0]], [[1.0]], [[2.0]]]


class Watcher:
    """A search that only looks on."""

    def __init__(self, model):
        self.model, self.seen = model, []

    def forget_batches(self):
        self.seen.append("forget")

    def step(self, inputs, targets, groups):
        self.seen.append((inputs, targets, groups, self.model[0].weight.clone()))


def test_the_search_sees_each_batch_after_its_step():
    run, plain = training(epochs=1), training(epochs=1)
    run.search = watcher = Watcher(run.model)
    run.run()
    first, *steps = watcher.seen
    assert first == "forget"
    for batch, (inputs, targets, groups, _) in zip(plain.batches, steps, strict=True):
        assert torch.equal(inputs, batch.inputs)
        assert torch.equal(targets, batch.targets)
        assert groups is None
    weights = [network()[0].weight, *(weight for *_, weight in steps)]
    assert torch.equal(weights[-1], run.model[0].weight)
    assert not any(torch.equal(a, b) for a, b in pairwise(weights))


@pytest.mark.parametrize("stop", [0, 1, EPOCHS])
def test_it_goes_on_from_a_checkpoint(tmp_path, stop):
    whole, first, second = training(), training(), training()
    whole.run()
    first.settings = TrainingSettings(stop or 1)  # it ends early, and knows nothing of it
    if stop:
        first.run(Checkpoints(tmp_path))
    told = []
    second.run(Checkpoints(tmp_path), told.append)
    assert [epoch.number for epoch in told] == [*range(stop + 1, EPOCHS + 1)]
    assert second.history == whole.history
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])


BALL = Policy.ball([[0.2], [0.8], [2.0]])


def test_each_batch_is_augmented_for_its_step_and_the_search_sees_it_as_it_was():
    run, plain = training(epochs=2, policy=BALL), training(epochs=2)
    run.search = watcher = Watcher(run.model)
    stepped = []
    step = run._step
    run._step = lambda batch, share: (stepped.append(batch), step(batch, share))[1]
    run.run()
    seen = [entry for entry in watcher.seen if entry != "forget"]
    given = [*plain.batches, *plain.batches]
    augment, draws = PolicyAugmentation(BALL), torch.Generator().manual_seed(0)
    assert len(stepped) == len(seen) == len(given)
    for batch, found, (inputs, targets, groups, _) in zip(given, stepped, seen, strict=True):
        assert torch.equal(inputs, batch.inputs)
        assert torch.equal(targets, batch.targets)
        assert groups is None
        assert torch.equal(found.inputs, augment(*batch, draws))
        assert not torch.equal(found.inputs, batch.inputs)
        assert torch.equal(found.targets, batch.targets)


def test_a_policy_that_changes_nothing_changes_nothing():
    nothing = Policy.ball([[0.0]] * 3)
    still, plain = training(policy=nothing), training()
    still.run()
    plain.run()
    assert still.history == plain.history


def test_draws_depend_on_the_seed_and_not_on_the_global_stream():
    ends = []
    for seed, noise in ((0, 1), (0, 2), (3, 1)):
        run = training(policy=BALL, seed=seed)
        torch.manual_seed(noise)
        run.run()
        ends.append(run.history[-1].train_loss)
    assert ends[0] == ends[1] != ends[2]


def test_augmented_it_goes_on_from_a_checkpoint(tmp_path):
    whole, first, second = (training(policy=BALL) for _ in range(3))
    whole.run()
    with pytest.raises(InterruptedError):
        first.run(Checkpoints(tmp_path), leave)
    second.run(Checkpoints(tmp_path))
    assert second.history == whole.history
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])


@pytest.mark.parametrize("other", [None, Policy.ball([[0.2], [0.8], [2.1]])])
def test_a_checkpoint_of_another_policy_is_refused(tmp_path, other):
    training(policy=BALL).run(Checkpoints(tmp_path))
    with pytest.raises(ArtifactError, match="are of a run with another policy; give a new"):
        training(policy=other).run(Checkpoints(tmp_path))


class Plain(nn.Module):
    """A loss of the user's own, without anything else."""

    def forward(self, logits, targets, groups=None):
        return F.cross_entropy(logits, targets)


def test_any_loss_of_the_same_call_serves():
    plain, ours = training(loss=Plain()), training(additive=[0.0] * 3)
    plain.run()
    ours.run()
    means = [[epoch.train_loss for epoch in run.history] for run in (plain, ours)]
    assert means[0] == pytest.approx(means[1])


def ldam(**options):
    return LDAMLoss(examples_of().counts, deferred=0.5, **options)


def test_a_loss_that_follows_the_epochs_is_told_and_resumed(tmp_path):
    whole = training(loss=ldam())
    weights = []
    whole.run(on_epoch=lambda _: weights.append(whole.loss.weight.tolist()))
    assert weights == [[1.0] * 3, *[whole.loss.deferred_weight.tolist()] * 2]
    first, second = training(loss=ldam()), training(loss=ldam())
    with pytest.raises(InterruptedError):
        first.run(Checkpoints(tmp_path), leave)
    second.run(Checkpoints(tmp_path))
    assert second.history == whole.history


def leave(epoch):
    if epoch.number == 2:
        raise InterruptedError


def shifted_examples():
    examples = examples_of()
    return replace(examples, inputs=examples.inputs + 1)


def wider():
    return nn.Sequential(nn.Linear(4, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 3))


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"learning_rate": 0.01}, "optimizer or schedule"),
        ({"epochs": 4}, "optimizer or schedule"),
        ({"optimizer": torch.optim.SGD}, "optimizer or schedule"),
        ({"precision": "bfloat16"}, "optimizer or schedule"),
        ({"compile": True}, "optimizer or schedule"),
        ({"seed": 1}, "choice of training examples"),
        ({"examples": examples_of(29)}, "choice of training examples"),
        ({"additive": [0.0, -0.5, -1.1]}, "loss"),
        ({"loss": Plain()}, "loss"),
        ({"examples": shifted_examples()}, "set of inputs"),
        ({"model": wider()}, "model"),
    ],
    ids=[
        "rate",
        "epochs",
        "optimizer",
        "digits",
        "compiled",
        "seed",
        "examples",
        "loss",
        "kind",
        "inputs",
        "model",
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, what):
    training(epochs=EPOCHS).run(Checkpoints(tmp_path))
    message = f"the checkpoints in {tmp_path} are of a run with another {what}; give a new or empty"
    with pytest.raises(ArtifactError, match=re.escape(message)):
        training(**other).run(Checkpoints(tmp_path))


def test_a_checkpoint_of_another_scale_is_refused(tmp_path):
    training(loss=ldam()).run(Checkpoints(tmp_path))
    with pytest.raises(ArtifactError, match="another loss"):
        training(loss=ldam(scale=20.0)).run(Checkpoints(tmp_path))


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path):
    def steps(size):
        return {"scheduler": lambda optimizer: lr_scheduler.StepLR(optimizer, size)}

    training(**steps(2)).run(Checkpoints(tmp_path))
    training(**steps(2)).run(Checkpoints(tmp_path))
    with pytest.raises(ArtifactError, match="another optimizer or schedule"):
        training(**steps(1)).run(Checkpoints(tmp_path))


def test_a_schedule_that_watches_a_value_is_refused():
    with pytest.raises(DataError, match="ReduceLROnPlateau needs a value to watch"):
        training(scheduler=lr_scheduler.ReduceLROnPlateau)


def test_weights_that_are_lost_in_the_last_step_are_named(tmp_path):
    """The loss before that step was finite."""
    run = training(size=30, epochs=1, learning_rate=3e38, momentum=0.0)
    run.model[0].weight.register_hook(lambda gradient: gradient * 1e9)
    with pytest.raises(SearchError, match="the weights are not finite in epoch 1; lower the lea"):
        run.run(Checkpoints(tmp_path))
    assert Checkpoints(tmp_path).load() is None


def test_a_mask_may_be_infinite():
    model = network()
    model.mask = nn.Parameter(torch.tensor([0.0, -torch.inf]), requires_grad=False)
    run = training(model=model, epochs=1)
    run.run()
    assert len(run.history) == 1


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    examples = examples_of()
    examples.inputs[7] = torch.nan
    run = training(examples, learning_rate=0.05)
    with pytest.raises(SearchError, match="training loss is not finite in epoch 1; lower the lea"):
        run.run(Checkpoints(tmp_path))
    assert Checkpoints(tmp_path).load() is None


class TwoTowers(nn.Module):
    """Of a tensor and a nested pair; dropout draws in training mode."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(1, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, a, pair):
        return self.dropout(self.left(a) + self.right(pair[0]) * pair[1])


@pytest.mark.parametrize("wrap", [tuple, lambda parts: {"a": parts[0], "pair": parts[1]}])
def test_inputs_in_tuples_and_dicts(wrap):
    x = examples_of().inputs
    examples = Examples(
        wrap((x[:, :2], (x[:, 2:3], x[:, 3:]))), examples_of().targets, None, (0, 1, 2)
    )
    model = TwoTowers()
    index = torch.arange(20, 3, -1)
    logits = predict_logits(model, examples, index, size=6)
    expected = model.left(x[:, :2]) + model.right(x[:, 2:3]) * x[:, 3:]
    assert torch.allclose(logits, expected[index])
    run = training(examples, model=model)
    run.run()
    assert run.history[-1].train_loss < run.history[0].train_loss


def test_predictions_leave_no_trace():
    examples, model = examples_of(), nn.Sequential(network(), nn.Dropout(0.5)).train()
    model[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = torch.get_rng_state()
    logits = predict_logits(model, examples, torch.arange(30))
    assert torch.equal(logits, predict_logits(model, examples, torch.arange(30)))
    assert not logits.requires_grad
    assert model.training
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
