"""Weights are channels-last while a model of images is trained, and nobody sees it."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.models.pixels import Pixels
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.layout import channels_last
from autobalance.training.loop import Training
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

N, K, EPOCHS = 24, 3, 4


def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (N, 3, 6, 6), generator=generator, dtype=torch.uint8)
    return Examples(pixels, torch.arange(N) % K, None, tuple(range(K)))


def network(front=True):
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)]
    pixels = Pixels().fit(images().inputs) if front else nn.Identity()
    return nn.Sequential(pixels, *convolutions, nn.Flatten(), nn.Linear(32, K))


def training(model=None, examples=None, **settings):
    examples = images() if examples is None else examples
    return Training(
        network() if model is None else model,
        ParametricCrossEntropy(n_classes=K),
        ShuffledBatches(examples, torch.arange(N), 8, 0),
        TrainingSettings(EPOCHS, learning_rate=0.05, **settings),
    )


def is_channels_last(tensor):
    """Of several channels and pixels."""
    return tensor.is_contiguous(memory_format=torch.channels_last)


def momenta(run):
    return [state["momentum_buffer"] for state in run.optimizer.state.values()]


def test_weights_and_momenta_are_channels_last_while_it_runs():
    run = training()
    before = [module.weight for module in run.model if isinstance(module, nn.Conv2d)]
    seen = []

    def look(_):
        maps = [*before, *(each for each in momenta(run) if each.ndim == 4)]
        seen.append([is_channels_last(each) for each in maps])

    run.run(on_epoch=look)
    assert seen == [[True] * 4] * EPOCHS
    assert all(each.is_contiguous() for each in [*run.model.parameters(), *momenta(run)])
    assert [module.weight for module in run.model if isinstance(module, nn.Conv2d)] == before


def test_they_are_as_they_were_when_a_run_is_broken_off():
    run = training()

    def leave(_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run.run(on_epoch=leave)
    assert all(each.is_contiguous() for each in [*run.model.parameters(), *momenta(run)])


def test_it_trains_as_in_the_usual_format():
    with_pixels, without = training(), training(network(front=False), standardised())
    with_pixels.run()
    without.run()
    assert with_pixels.history[-1].train_loss < 0.8 * with_pixels.history[0].train_loss
    pairs = zip(with_pixels.model.parameters(), without.model.parameters(), strict=True)
    for ours, usual in pairs:
        torch.testing.assert_close(ours, usual, rtol=1e-3, atol=1e-5)


def standardised():
    examples = images()
    inputs = Pixels().fit(examples.inputs)(examples.inputs).contiguous()
    return Examples(inputs, examples.targets, None, examples.classes)


class Flattening(nn.Module):
    """As networks are often written; a view fails on channels-last maps."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 4, 3), nn.Linear(64, K)

    def forward(self, images):
        maps = self.convolution(images)
        return self.head(maps.view(len(maps), -1))


def test_models_without_pixels_stay_as_they_are():
    run = training(Flattening(), standardised())
    run.run()
    assert len(run.history) == EPOCHS


@pytest.mark.parametrize("make", [network, lambda: network().to(memory_format=torch.channels_last)])
def test_a_resumed_run_has_momenta_that_fit_the_weights(tmp_path, make):
    whole, first, second = (training(make()) for _ in range(3))
    whole.run()

    def leave(epoch):
        if epoch.number == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        first.run(Checkpoints(tmp_path), leave)
    second.run(Checkpoints(tmp_path))
    assert second.history == whole.history
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])


def test_a_run_can_go_on_after_its_end():
    whole, parts = training(), training()
    whole.run()
    settings, parts.settings = parts.settings, TrainingSettings(2)
    parts.run()
    parts.settings = settings
    parts.run()
    assert parts.history == whole.history


def test_a_weight_that_is_computed_stays():
    convolution = parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    model = nn.Sequential(Pixels(), convolution, nn.Flatten())
    before = copy.deepcopy(model.state_dict())
    with channels_last(model, torch.optim.SGD(model.parameters(), 0.1)):
        assert not is_channels_last(convolution.parametrizations.weight.original1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
