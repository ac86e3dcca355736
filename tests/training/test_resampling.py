"""Classes come with the published probabilities, and draws go on from where they were."""

import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn
from torch.utils.data import Dataset

from autobalance.errors import DataError
from autobalance.losses import ParametricCrossEntropy
from autobalance.training.augment import CropAndFlip
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Training
from autobalance.training.resampling import ResampledBatches
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

SIZES = (400, 90, 10)


def examples_of(*sizes):
    """Classes of these sizes; an example's input is its position."""
    codes = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Examples(torch.arange(len(codes)), codes, None, tuple(range(len(sizes))))


def drawn(batches, epochs=1):
    """Positions in the order in which they are shown."""
    return [*chain(*(batch.inputs.tolist() for _ in range(epochs) for batch in batches))]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_classes_have_the_published_shares_and_their_examples_come_alike(exponent):
    examples = examples_of(*SIZES)
    batches = ResampledBatches(examples, torch.arange(500), 100, seed=0, exponent=exponent)
    shown = drawn(batches, epochs=60)
    share = np.array([n**exponent for n in SIZES])
    of_class = np.bincount(examples.targets[shown], minlength=3)
    assert chisquare(of_class, 30_000 * share / share.sum()).pvalue > 0.01
    times = np.bincount(shown, minlength=500)
    for k, members in enumerate(np.split(times, np.cumsum(SIZES)[:-1])):
        assert chisquare(members).pvalue > 0.01, k


def test_the_shares_are_those_of_the_part():
    """Of 400, 90 and 10 examples the part has 6 and 2, and none of the first class."""
    index = torch.tensor([400, 401, 402, 403, 404, 405, 498, 499])
    shown = drawn(ResampledBatches(examples_of(*SIZES), index, 4, 0, exponent=0.5), 2_000)
    assert set(shown) == set(index.tolist())
    rare = sum(position >= 490 for position in shown)
    expected = 16_000 * np.array([3**0.5, 1]) / (3**0.5 + 1)
    assert chisquare([16_000 - rare, rare], expected).pvalue > 0.01


@pytest.mark.parametrize(("n", "lengths"), [(12, [4, 4, 4]), (14, [4, 4, 4, 2]), (13, [4, 4, 4])])
def test_an_epoch_is_as_long_as_a_shuffled_one(n, lengths):
    batches = ResampledBatches(examples_of(10, 4), torch.arange(n), 4, 0, exponent=0.0)
    assert [len(batch.targets) for batch in batches] == lengths
    assert len(batches) == len(lengths)


def test_examples_are_drawn_with_replacement():
    times = Counter(drawn(ResampledBatches(examples_of(50), torch.arange(50), 50, 0, exponent=1.0)))
    assert max(times.values()) > 1
    assert len(times) < 50


def test_the_draws_are_of_the_seed_and_go_on_from_a_state():
    def make(seed=0):
        return ResampledBatches(examples_of(9, 7), torch.arange(16), 5, seed, exponent=0.5)

    first, second = make(), make(seed=1)
    assert drawn(make(), 3) == drawn(make(), 3) != drawn(make(seed=1), 3)
    drawn(first, 2)
    second.load_state_dict(first.state_dict())
    expected = drawn(first, 2)
    assert drawn(second, 2) == expected


def test_the_callers_random_stream_is_not_touched():
    before = torch.get_rng_state()
    drawn(ResampledBatches(examples_of(9, 7), torch.arange(16), 5, 0, exponent=0.5))
    assert torch.equal(torch.get_rng_state(), before)


class Images(Dataset):
    """Images that are their positions."""

    def __len__(self):
        return 9

    def __getitem__(self, position):
        return torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4) + position


# the fork is PyTorch's own, and its workers wait for nothing that a thread here holds
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_and_augmentation_serve_as_with_shuffled_batches():
    def shown(inputs, workers=0, state=None, epochs=2):
        examples = Examples.coded(inputs, list("aaaaaabbc"))
        batches = ResampledBatches(
            examples, torch.arange(9), 4, 0, CropAndFlip(1), workers, exponent=0.0
        )
        if state is not None:
            batches.load_state_dict(state)
        return [batch.inputs for _ in range(epochs) for batch in batches], batches.state_dict()

    in_memory = torch.stack([Images()[position] for position in range(9)])
    whole, _ = shown(in_memory)
    first, state = shown(Images(), 2, epochs=1)
    second, _ = shown(Images(), 0, state, epochs=1)
    for image, other in zip(whole, first + second, strict=True):
        assert torch.equal(image, other)
    plain = ResampledBatches(
        Examples.coded(in_memory, list("aaaaaabbc")), torch.arange(9), 4, 0, exponent=0.0
    )
    assert not torch.equal(next(iter(plain)).inputs, whole[0])


def test_a_training_on_them_is_resumed(tmp_path):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 4, generator=generator)
    examples = Examples.of((inputs, torch.arange(20) % 7 // 5))

    def training(exponent=0.0):
        torch.manual_seed(0)
        return Training(
            nn.Linear(4, 2),
            ParametricCrossEntropy(n_classes=2),
            ResampledBatches(examples, torch.arange(20), 6, 0, exponent=exponent),
            TrainingSettings(epochs=3),
        )

    def leave(epoch):
        if epoch.number == 2:
            raise InterruptedError

    whole, first, second = training(), training(), training()
    whole.run()
    with pytest.raises(InterruptedError):
        first.run(Checkpoints(tmp_path), leave)
    with pytest.raises(OSError, match="another choice of training examples"):
        training(exponent=0.5).run(Checkpoints(tmp_path))
    second.run(Checkpoints(tmp_path))
    assert second.history == whole.history
    assert torch.equal(second.model.weight, whole.model.weight)


def test_the_origin_tells_exponents_and_shuffled_batches_apart():
    arguments = (examples_of(5, 5), torch.arange(10), 2, 0)
    origins = {ResampledBatches(*arguments, exponent=q).origin for q in (0.0, 0.5, 1.0)}
    assert len({ShuffledBatches(*arguments).origin, *origins}) == 4


@pytest.mark.parametrize("exponent", [-0.5, 1.5, float("nan")])
def test_an_exponent_out_of_range_is_named(exponent):
    message = re.escape(f"exponent is {exponent}; use 0 for classes that come alike")
    with pytest.raises(DataError, match=message):
        ResampledBatches(examples_of(5, 5), torch.arange(10), 2, 0, exponent=exponent)
