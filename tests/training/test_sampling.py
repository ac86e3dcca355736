"""Batches show what they promise, and go on from where they were."""

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest
import torch

from autobalance.errors import DataError
from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples
from autobalance.training.sampling import ShuffledBatches, StratifiedBatches


def examples_of(*sizes):
    """Cells of these sizes; an example's input is its position."""
    codes = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Examples(torch.arange(len(codes)), codes, None, tuple(range(len(sizes))))


def positions(batch):
    return batch.inputs.tolist()


@pytest.mark.parametrize(
    ("n", "size", "lengths"),
    [
        (12, 4, [4, 4, 4]),
        (14, 4, [4, 4, 4, 2]),
        (13, 4, [4, 4, 4]),  # a single one is left out
        (3, 4, [3]),
        (1, 4, [1]),  # but it is all there is
        (3, 1, [1, 1, 1]),
    ],
)
def test_an_epoch_shows_every_example_once(n, size, lengths):
    index = torch.arange(5, 5 + n)
    batches = ShuffledBatches(examples_of(10, 10), index, size, seed=0)
    for _ in range(3):
        seen = [positions(batch) for batch in batches]
        assert [len(batch) for batch in seen] == lengths
        assert len(batches) == len(lengths)
        shown = [*chain(*seen)]
        assert len(set(shown)) == sum(lengths)
        assert set(shown) <= set(index.tolist())


def test_who_is_left_out_changes():
    batches = ShuffledBatches(examples_of(5), torch.arange(5), 2, seed=0)
    left_out = Counter(
        position
        for _ in range(200)
        for position in set(range(5)) - set(chain(*map(positions, batches)))
    )
    assert left_out.total() == 200
    assert min(left_out[position] for position in range(5)) > 20  # of an expected 40


def test_the_order_is_uniform_and_of_the_seed():
    def orders(seed, n=600):
        batches = ShuffledBatches(examples_of(3), torch.arange(3), 3, seed)
        return [tuple(positions(batch)) for _ in range(n) for batch in batches]

    assert orders(0) == orders(0) != orders(1)
    times = Counter(orders(0))
    assert len(times) == 6
    assert all(60 < count < 140 for count in times.values())  # 100 ± 4 standard deviations


def test_an_order_is_a_permutation_drawn_from_the_seed():
    generator = torch.Generator().manual_seed(7)
    batches = ShuffledBatches(examples_of(9, 7), torch.arange(16), 5, seed=7)
    for _ in range(2):
        order = torch.randperm(16, generator=generator).tolist()
        assert [*chain(*map(positions, batches))] == order[:15]


def test_stratified_batches_show_cells_alike():
    examples = examples_of(50, 20, 3)
    batches = StratifiedBatches(examples, torch.arange(2, 73), 12, seed=0)
    assert not batches.whole
    shown = Counter()
    for batch in islice(batches, 300):
        assert len(set(positions(batch))) == len(batch.targets)  # none twice
        assert torch.bincount(batch.targets).tolist() == [4, 4, 3]  # the last is all there is
        shown.update(positions(batch))
    assert set(shown) == set(range(2, 73))
    for members, each in ((range(2, 50), 1200 / 48), (range(50, 70), 60.0), (range(70, 73), 300.0)):
        counts = np.array([shown[position] for position in members])
        assert counts.mean() == each
        assert (abs(counts - each) <= 5 * each**0.5).all()


def test_cells_are_of_class_and_group():
    y = torch.tensor([0] * 6 + [1] * 6)
    g = torch.tensor([0, 0, 0, 0, 0, 1] * 2)
    examples = Examples(torch.arange(12), y, g, (0, 1), ("a", "b"))
    for batch in islice(StratifiedBatches(examples, torch.arange(12), 8, seed=0), 5):
        cells = Counter(zip(batch.targets.tolist(), batch.groups.tolist(), strict=True))
        assert cells == {(0, 0): 2, (0, 1): 1, (1, 0): 2, (1, 1): 1}


def test_with_more_cells_than_a_batch_holds_they_take_turns():
    batches = StratifiedBatches(examples_of(*[3] * 10), torch.arange(30), 4, seed=0)
    shown = Counter()
    for batch in islice(batches, 500):
        cells = batch.targets.tolist()
        assert len(cells) == len(set(cells)) == 4
        shown.update(positions(batch))
    assert all(35 < shown[position] < 100 for position in range(30))  # of an expected 66.7


def test_a_part_that_is_no_larger_than_a_batch_is_the_batch():
    index = torch.tensor([4, 0, 7])
    batches = StratifiedBatches(examples_of(5, 5), index, 3, seed=0)
    assert batches.whole
    assert [positions(batch) for batch in islice(batches, 2)] == [[4, 0, 7], [4, 0, 7]]


@pytest.mark.parametrize("size", [1, 2, 8, 9, 10, 17, 24, 30])
def test_there_is_a_share_for_every_batch(size):
    batches = ShuffledBatches(examples_of(8, 9), torch.arange(17), size, seed=0)
    assert batches.shares == [1.0] * len(list(batches))


@pytest.mark.parametrize("kind", [ShuffledBatches, StratifiedBatches])
def test_they_go_on_from_a_state(kind):
    def make(seed):
        return kind(examples_of(9, 7), torch.arange(16), 5, seed)

    first, second = make(seed=0), make(seed=1)
    list(islice(first, 3 * 4))
    state = first.state_dict()
    expected = [positions(batch) for batch in islice(first, 4)]
    assert [positions(batch) for batch in islice(second, 4)] != expected
    second.load_state_dict(state)
    assert [positions(batch) for batch in islice(second, 4)] == expected


def images_of(n=9):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, 6, 6), generator=generator, dtype=torch.uint8)
    return Examples(images, torch.arange(n) % 2, None, (0, 1))


def shown(batches, epochs=1):
    return [batch.inputs for _ in range(epochs) for batch in batches]


def test_training_images_are_augmented_and_go_on_from_a_state():
    def make():
        return ShuffledBatches(images_of(), torch.arange(9), 4, 0, CropAndFlip())

    whole, first, second = make(), make(), make()
    expected = shown(whole, 2)
    begun = shown(first)
    second.load_state_dict(first.state_dict())
    for image, other in zip(expected, begun + shown(second), strict=True):
        assert torch.equal(image, other)
    plain = shown(ShuffledBatches(images_of(), torch.arange(9), 4, 0), 2)
    undone = shown(ShuffledBatches(images_of(), torch.arange(9), 4, 0, CropAndFlip(0, False)), 2)
    for image, other, augmented in zip(plain, undone, expected, strict=True):
        assert torch.equal(image, other)  # the order is the same
        assert not torch.equal(image, augmented)


def test_an_augmentation_is_part_of_the_origin():
    def origin(augment):
        return ShuffledBatches(images_of(), torch.arange(9), 4, 0, augment).origin

    origins = {origin(augment) for augment in (None, CropAndFlip(), CropAndFlip(2), shown)}
    assert len(origins) == 4
    assert origin(CropAndFlip()).endswith(
        " with CropAndFlip {'flip': 'True', 'padding': '4'} on cpu"
    )


def test_what_cannot_be_augmented_is_named():
    examples = Examples((images_of().inputs,), torch.arange(9) % 2, None, (0, 1))
    with pytest.raises(DataError, match="the inputs are a tuple but an augmentation takes one ten"):
        next(iter(ShuffledBatches(examples, torch.arange(9), 4, 0, CropAndFlip())))


def test_the_callers_random_stream_is_not_touched():
    before = torch.get_rng_state()
    for kind in (ShuffledBatches, StratifiedBatches):
        list(islice(kind(examples_of(9, 7), torch.arange(16), 5, 0), 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_origin_tells_other_examples_sizes_and_seeds_apart():
    def origin(index=(0, 1, 2, 9), size=2, seed=0, sizes=(5, 5)):
        return ShuffledBatches(examples_of(*sizes), torch.tensor(index), size, seed).origin

    others = [origin((0, 1, 3, 9)), origin(size=3), origin(seed=1), origin(sizes=(2, 8))]
    assert origin() == origin()
    assert len({origin(), *others}) == 5
