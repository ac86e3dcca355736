"""Batches of a Dataset are the same, whoever reads them."""

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples
from autobalance.training.loading import load
from autobalance.training.loop import predict_logits
from autobalance.training.sampling import ShuffledBatches

CPU = torch.device("cpu")
Y = ["b", "a", "b", "a", "b", "a", "b"]

# the fork is PyTorch's own, and its workers wait for nothing that a thread here holds
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


class Images(Dataset):
    """Images that are their positions, without labels, or that are drawn."""

    def __init__(self, drawn=False):
        self.drawn, self.reads = drawn, 0

    def __len__(self):
        return len(Y)

    def __getitem__(self, position):
        self.reads += 1
        if self.drawn:
            return torch.randint(256, (3, 4, 4)).to(torch.uint8)
        return torch.full((3, 4, 4), position, dtype=torch.uint8)


def test_labels_are_known_without_reading():
    examples = Examples.coded(Images(), Y, [0, 0, 0, 1, 1, 1, 1])
    assert examples.counts.values.tolist() == [[1, 2], [2, 2]]
    assert examples.inputs.reads == 0
    batch = examples.batch(torch.tensor([3, 2]))
    assert batch.inputs[:, 0, 0, 0].tolist() == [3, 2]
    assert batch.targets.tolist() == [0, 1]
    assert batch.groups.tolist() == [1, 0]


def epochs(workers, images=None, state=None, augment=None, n=2):
    examples = Examples.coded(Images() if images is None else images, Y)
    batches = ShuffledBatches(examples, torch.arange(7), 3, 0, augment, workers)
    if state is not None:
        batches.load_state_dict(state)
    shown = [(batch.inputs, batch.targets) for _ in range(n) for batch in batches]
    return shown, batches.state_dict()


def same(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(a, b, strict=True)
    )


def test_workers_change_nothing():
    alone, state = epochs(0, augment=CropAndFlip(1))
    together, other = epochs(2, augment=CropAndFlip(1))
    assert len(alone) == 4
    assert same(alone, together)
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_in_memory_it_is_the_same_as_by_position():
    images = torch.stack([Images()[position] for position in range(7)])
    examples = Examples.coded(images, Y)
    batches = ShuffledBatches(examples, torch.arange(7), 3, 0)
    in_memory = [(batch.inputs, batch.targets) for _ in range(2) for batch in batches]
    assert same(in_memory, epochs(0)[0])


def test_a_dataset_that_draws_is_resumed_with_its_workers():
    whole, _ = epochs(2, Images(drawn=True))
    first, state = epochs(2, Images(drawn=True), n=1)
    second, _ = epochs(2, Images(drawn=True), state, n=1)
    assert same(whole, first + second)
    assert not same(first, second)


def test_predictions_are_the_same():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, images):
            return images.float().mean((1, 2, 3))[:, None] * self.scale

    examples = Examples.coded(Images(), Y)
    index = torch.tensor([6, 0, 5, 1])
    for workers in (0, 2):
        logits = predict_logits(Mean(), examples, index, 3, workers)
        assert logits[:, 0].tolist() == [6, 0, 5, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_callers_random_stream_is_not_touched(workers):
    before = torch.get_rng_state()
    list(load(Examples.coded(Images(), Y), [torch.arange(3)], CPU, workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_reader_that_is_left_early_ends():
    batches = load(Examples.coded(Images(), Y), [torch.arange(3)] * 4, CPU, 2)
    assert next(batches).inputs[:, 0, 0, 0].tolist() == [0, 1, 2]
    batches.close()
