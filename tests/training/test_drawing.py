"""Draws by weight show each example as often as it weighs, and train as the weighted loss does."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.losses.focal import FocalLoss
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.drawing import BatchesByWeight, training_batches
from autobalance.training.examples import Examples
from autobalance.training.loop import Training
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

SIZES = (12, 5, 3)


def examples_of(*sizes, groups=False):
    """Classes of these sizes; an example's input is its position, and groups take turns."""
    codes = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    places = torch.arange(len(codes))
    return Examples(
        places,
        codes,
        places % 2 if groups else None,
        tuple(range(len(sizes))),
        ("a", "b")[: 1 + groups] if groups else None,
    )


def shown(batches, epochs=1):
    """How often each position comes in each epoch."""
    number = len(batches._index)
    return np.array(
        [
            np.bincount([*chain(*(batch.inputs.tolist() for batch in batches))], minlength=number)
            for _ in range(epochs)
        ]
    )


@given(weight=st.lists(st.floats(0.01, 100), min_size=3, max_size=3), seed=st.integers(0, 2**31))
def test_an_example_comes_as_often_as_it_weighs_up_to_rounding(weight, seed):
    examples = examples_of(*SIZES)
    batches = BatchesByWeight(examples, torch.arange(20), 20, seed)
    table = torch.tensor(weight, dtype=torch.float64)[:, None]
    often = batches.draw_by(table)
    expected = often[examples.targets, 0].numpy()
    assert expected.mean() == pytest.approx(1)
    assert (often / table).numpy() == pytest.approx(float(often[0, 0]) / weight[0])
    (times,) = shown(batches)
    assert times.sum() == 20
    assert (np.floor(expected - 1e-9) <= times).all()
    assert (times <= np.ceil(expected + 1e-9)).all()


def test_in_the_mean_it_comes_exactly_as_often():
    examples = examples_of(*SIZES)
    batches = BatchesByWeight(examples, torch.arange(20), 20, 0)
    often = batches.draw_by(torch.tensor([[0.4], [1.7], [2.3]]))[examples.targets, 0].numpy()
    times = shown(batches, epochs=1000)
    error = times.std(0) / 1000**0.5
    assert (abs(times.mean(0) - often) < 4.5 * error).all()


def test_with_equal_weights_every_example_comes_once_in_another_order_each_time():
    batches = BatchesByWeight(examples_of(*SIZES), torch.arange(20), 20, 0)
    for weight in (None, torch.full((3, 1), 2.5)):
        if weight is not None:
            assert (batches.draw_by(weight) == 1).all()
        orders = [next(iter(batches)).inputs.tolist() for _ in range(2)]
        assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
        assert orders[0] != orders[1]


def test_cells_of_groups_have_weights_of_their_own_and_weight_0_never_comes():
    examples = examples_of(*SIZES, groups=True)
    index = torch.arange(2, 20)
    batches = BatchesByWeight(examples, index, 9, 0)
    weight = torch.tensor([[1.0, 0.0], [2.0, 1.0], [1.0, 4.0]])
    often = batches.draw_by(weight)
    assert (often[weight == 0] == 1).all()  # nothing is divided by 0
    often[weight == 0] = 0
    times = np.zeros(20)
    for _ in range(300):
        for batch in batches:
            np.add.at(times, batch.inputs.numpy(), 1)
    cells = examples.targets.numpy(), examples.groups.numpy()
    expected = often.numpy()[cells]
    assert (times[:2] == 0).all()
    assert times[2:] / 300 == pytest.approx(expected[2:], abs=0.15)
    assert (times[2:][expected[2:] == 0] == 0).all()


def test_without_any_weight_there_is_nothing_to_draw():
    batches = BatchesByWeight(examples_of(*SIZES), torch.arange(20), 7, 0)
    with pytest.raises(DataError, match="all weights of the loss are 0"):
        batches.draw_by(torch.zeros(3, 1))


def test_the_draws_go_on_from_a_state():
    first, second = (BatchesByWeight(examples_of(*SIZES), torch.arange(20), 7, 3) for _ in "ab")
    weight = torch.tensor([[0.4], [1.7], [2.3]])
    first.draw_by(weight)
    second.draw_by(weight)
    shown(first, epochs=2)
    second.load_state_dict(first.state_dict())
    orders = [[batch.inputs.tolist() for batch in batches] for batches in (first, second)]
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("weights", "kind"), [("multiply", ShuffledBatches), ("draw", BatchesByWeight)]
)
def test_the_settings_choose_the_batches(weights, kind):
    settings = TrainingSettings(batch_size=5, weights=weights)
    batches = training_batches(examples_of(*SIZES), torch.arange(20), settings, 0)
    assert type(batches) is kind
    assert [len(batch.targets) for batch in batches] == [5] * 4


def test_runs_that_draw_and_runs_that_multiply_are_told_apart():
    plain, drawn = (
        kind(examples_of(*SIZES), torch.arange(20), 7, 0)
        for kind in (ShuffledBatches, BatchesByWeight)
    )
    assert drawn.origin != plain.origin


# Training


def noisy(*sizes):
    generator = torch.Generator().manual_seed(0)
    codes = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    inputs = torch.randn(len(codes), 4, generator=generator)
    inputs[:, :3] += nn.functional.one_hot(codes, 3)
    return Examples(inputs, codes, None, tuple(range(len(sizes))))


def a_training(weights="draw", epochs=3, design=None, examples=None, **options):
    torch.manual_seed(0)
    examples = noisy(40, 20, 12) if examples is None else examples
    design = preset("weighted-adjustment", examples.counts, share=0.5) if design is None else design
    settings = TrainingSettings(
        epochs=epochs, batch_size=9, learning_rate=0.05, weights=weights, **options
    )
    batches = training_batches(examples, torch.arange(len(examples)), settings, 0)
    return Training(nn.Linear(4, 3), ParametricCrossEntropy.from_design(design), batches, settings)


def test_weights_that_are_drawn_by_do_not_multiply():
    training = a_training()
    training.run()
    loss = training.loss
    assert (loss.weight / loss.drawn).numpy() == pytest.approx(1, abs=1e-5)
    assert loss.multiplying.numpy() == pytest.approx(1, abs=1e-5)
    z, y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    unweighted = ParametricCrossEntropy(additive=loss.additive)
    assert float(loss(z, y)) == pytest.approx(float(unweighted(z, y)), rel=1e-5)


def test_the_mean_gradient_is_that_of_the_weighted_loss():
    """Over many epochs, at fixed parameters."""
    training = a_training()
    examples = training.batches._examples
    weighted = ParametricCrossEntropy.from_design(training.loss.design)
    model = training.model
    weighted(model(examples.inputs), examples.targets).backward()
    expected = model.weight.grad.clone()
    training.loss.drawn = training.batches.draw_by(training.loss.weight)
    found = []
    for _ in range(400):
        shares = [
            len(batch.targets) * training.loss(model(batch.inputs), batch.targets)
            for batch in training.batches
        ]
        model.weight.grad = None
        (sum(shares) / len(examples)).backward()
        found.append(model.weight.grad.clone())
    found = torch.stack(found)
    error = found.std(0) / len(found) ** 0.5
    assert bool(((found.mean(0) - expected).abs() < 4.5 * error + 1e-7).all())


def test_a_run_goes_on_from_a_checkpoint_with_the_draws_that_it_had(tmp_path):
    whole, first = a_training(epochs=4), a_training(epochs=4)
    whole.run()

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(Checkpoints(tmp_path), stop)
    second = a_training(epochs=4)
    second.run(Checkpoints(tmp_path))
    for expected, found in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_a_loss_without_weights_to_draw_by_is_refused():
    examples = noisy(40, 20, 12)
    settings = TrainingSettings(weights="draw")
    batches = training_batches(examples, torch.arange(72), settings, 0)
    counts = Counts(np.array([[40.0], [20.0], [12.0]]), (0, 1, 2))
    with pytest.raises(DataError, match="a FocalLoss has no weights to draw by"):
        Training(nn.Linear(4, 3), FocalLoss(counts), batches, settings)
