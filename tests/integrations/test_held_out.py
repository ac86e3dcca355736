"""Held-out batches of Datasets and loaders."""

import itertools

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from autobalance.batches import as_batch
from autobalance.errors import DataError
from autobalance.integrations.held_out import DatasetBatches, LoaderBatches
from autobalance.training.examples import Examples
from autobalance.training.sampling import StratifiedBatches


def take(batches, n):
    return list(itertools.islice(batches, n))


def test_a_small_dataset_is_the_batch_every_time(held_out):
    batches = DatasetBatches(held_out, default_collate, as_batch)
    assert batches.whole
    for batch in take(batches, 2):
        for part, expected in zip(batch, held_out.tensors, strict=True):
            torch.testing.assert_close(part, expected)


def test_a_large_dataset_shows_all_cells_alike(held_out):
    batches = DatasetBatches(held_out, default_collate, as_batch, size=12)
    assert not batches.whole
    _, targets, groups = held_out.tensors
    present = torch.bincount(2 * targets + groups, minlength=6)
    for batch in take(batches, 5):
        shown = torch.bincount(2 * batch.targets + batch.groups, minlength=6)
        assert shown.tolist() == present.clamp(max=2).tolist()


def test_items_that_are_mappings_are_collated_and_read():
    data = [{"x": torch.tensor([float(i)]), "labels": i % 2} for i in range(6)]
    batches = DatasetBatches(
        data, default_collate, lambda batch: ({"x": batch["x"]}, batch["labels"])
    )
    (batch,) = take(batches, 1)
    assert batch.inputs["x"].flatten().tolist() == list(range(6))
    assert batch.targets.tolist() == [0, 1] * 3
    assert batch.groups is None


def test_a_resumed_dataset_draws_what_one_that_went_on_does(held_out):
    def drawn(batches):
        return [batch.inputs for batch in take(batches, 3)]

    first = DatasetBatches(held_out, default_collate, as_batch, size=12)
    drawn(first)
    state = first.state_dict()
    expected = drawn(first)
    again = DatasetBatches(held_out, default_collate, as_batch, size=12)
    again.load_state_dict(state)
    torch.testing.assert_close(drawn(again), expected)


class _Stream(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("dataset", "match"),
    [(_Stream(), "no items by position"), (TensorDataset(torch.zeros(0, 2)), "is empty")],
)
def test_a_dataset_that_cannot_be_drawn_from_is_refused(dataset, match):
    with pytest.raises(DataError, match=match):
        DatasetBatches(dataset, default_collate, as_batch)


def test_a_loader_is_read_as_often_as_asked(held_out):
    batches = LoaderBatches(DataLoader(held_out, 16), lambda item: item[:2])
    for _ in range(2):
        assert [len(batch.targets) for batch in batches] == [16, 16, 8]
    assert all(batch.groups is None for batch in batches)
    assert not batches.whole
    assert batches.state_dict() == {}
    batches.load_state_dict({})


def test_a_list_of_one_batch_is_the_whole(held_out):
    assert LoaderBatches([held_out.tensors], as_batch).whole


def test_a_loader_with_a_state_keeps_it(held_out):
    def loader():
        examples = Examples.of(held_out.tensors)
        return LoaderBatches(StratifiedBatches(examples, torch.arange(40), 12, seed=3), as_batch)

    first = loader()
    take(first, 2)
    state = first.state_dict()
    (expected,) = take(first, 1)
    again = loader()
    again.load_state_dict(state)
    torch.testing.assert_close(take(again, 1)[0].inputs, expected.inputs)
