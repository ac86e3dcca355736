"""Examples of any kind, by position."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from autobalance.errors import DataError
from autobalance.training.examples import Examples

X = torch.arange(12.0).reshape(4, 3)
Y = [1, 0, 1, 2]


class Items(Dataset):
    """What it is given, item by item; it counts how often it is read."""

    def __init__(self, items):
        self.items, self.reads = items, 0

    def __len__(self):
        return len(self.items)

    def __getitem__(self, position):
        self.reads += 1
        return self.items[position]


def same(a, b):
    """Whether inputs are the same, structure, dtypes and values."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (X, X[1:3]),
        (X.double(), X[1:3].double()),
        (X.numpy().astype(np.float64), X[1:3]),
        (X.numpy().astype(np.float16)[::-1], X.flip(0)[1:3]),
        (X.long().numpy(), X[1:3].long()),
        (X.tolist(), X[1:3]),
        (pd.DataFrame(X.numpy()), X[1:3]),
        ((X, X[:, 0].numpy()), (X[1:3], X[1:3, 0])),
        ({"a": X, "b": (X[:, :1], X.bool())}, {"a": X[1:3], "b": (X[1:3, :1], X[1:3].bool())}),
    ],
    ids=["tensor", "double", "array", "read backwards", "whole", "list", "frame", "tuple", "dict"],
)
def test_inputs_of_any_structure(inputs, expected):
    batch = Examples.of((inputs, Y)).batch(torch.tensor([1, 2]))
    assert same(batch.inputs, expected)
    assert batch.targets.tolist() == [0, 1]
    assert batch.groups is None


def test_arrays_that_are_read_only_are_copied():
    array = X.numpy().copy()
    array.setflags(write=False)
    examples = Examples.of((array, Y))
    examples.inputs.zero_()
    assert np.array_equal(array, X.numpy())


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        (Y, (0, 1, 2), [1, 0, 1, 2]),
        (torch.tensor(Y), (0, 1, 2), [1, 0, 1, 2]),
        (torch.tensor(Y)[:, None], (0, 1, 2), [1, 0, 1, 2]),
        ([torch.tensor(y) for y in Y], (0, 1, 2), [1, 0, 1, 2]),
        (np.array(["cat", "ant", "cat", "bee"]), ("ant", "bee", "cat"), [2, 0, 2, 1]),
        (pd.Series(["b", "a", "b", "a"], dtype="category"), ("a", "b"), [1, 0, 1, 0]),
        ([True, False, True, True], (False, True), [1, 0, 1, 1]),
        ([0.5, -1.0, 0.5, 2.0], (-1.0, 0.5, 2.0), [1, 0, 1, 2]),
        (["x", 3, None, 3], (3, "x", None), [1, 0, 2, 0]),
    ],
    ids=["list", "tensor", "column", "tensors", "text", "categories", "truth", "floats", "mixed"],
)
def test_labels_of_any_kind_are_coded_in_sorted_order(labels, classes, codes):
    examples = Examples.of((X, labels))
    assert examples.classes == classes
    assert examples.targets.tolist() == codes
    assert examples.cells.tolist() == codes


def test_groups_of_one_or_several_columns():
    single = Examples.of((X, Y, ["f", "m", None, "f"]))
    assert single.group_labels == ("f", "m", None)
    assert single.groups.tolist() == [0, 1, 2, 0]
    assert single.cells.tolist() == [3, 1, 5, 6]  # class · 3 + group
    double = Examples.of((X, Y, [("f", 1), ("m", 0), ("f", 0), ("f", 1)]))
    assert double.group_labels == (("f", 0), ("f", 1), ("m", 0))
    assert double.groups.tolist() == [1, 2, 0, 1]
    assert double.batch(torch.tensor([3, 0])).groups.tolist() == [1, 1]
    assert Examples.of((X, Y, None)).groups is None


def test_counts_are_of_the_cells():
    counts = Examples.of((X, Y, ["f", "m", "f", "f"])).counts
    assert counts.classes == (0, 1, 2)
    assert counts.groups == ("f", "m")
    assert counts.values.tolist() == [[0, 1], [2, 0], [1, 0]]
    assert Examples.of((X, Y)).counts.values.tolist() == [[1], [2], [1]]


def test_a_dataset_is_read_by_position_and_its_inputs_are_not_kept():
    data = Items([({"a": X[n], "n": n}, "yn"[y == 0], None) for n, y in enumerate(Y)])
    examples = Examples.of(data)
    assert data.reads == len(examples) == 4
    assert examples.classes == ("n", "y")
    assert examples.group_labels == (None,)
    batch = examples.batch(torch.tensor([3, 1]))
    assert same(batch.inputs, {"a": X[[3, 1]], "n": torch.tensor([3, 1])})
    assert batch.targets.tolist() == [1, 0]
    assert examples.to(torch.device("cpu")) is examples


def test_torch_datasets_serve():
    examples = Examples.of(TensorDataset(X, torch.tensor(Y)))
    assert examples.classes == (0, 1, 2)
    assert same(examples.batch(torch.tensor([2])).inputs, X[2:3])


def test_examples_stay_what_they_are():
    examples = Examples.of((X, Y))
    assert Examples.of(examples) is examples


def test_on_another_device_the_codes_stay():
    examples = Examples.of(({"a": X}, Y, Y)).to(torch.device("meta"))
    assert examples.inputs["a"].is_meta
    assert examples.targets.tolist() == Y
    assert examples.groups.tolist() == Y


class Stream(IterableDataset):
    def __iter__(self):
        yield X[0], 1


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, "the data are of type Tensor; give (inputs, targets)"),
        ((X,), "the data are of type tuple; give"),
        ((X, Y, Y, Y), "the data are of type tuple; give"),
        ((X, Y[:3]), "there are 3 targets but inputs of shape (4, 3); give one target for each"),
        (((X, X[:3]), Y), "there are 4 targets but inputs of shape (3, 3)"),
        (({"a": X, "b": 1}, Y), "there are 4 targets but inputs of shape ()"),
        ((X, Y, Y[:3]), "there are 4 targets but 3 groups; give one group"),
        ((X, torch.eye(4)), "the targets have shape (4, 4); give the label of one class"),
        ((X, torch.eye(4)), "search beside a loop of your own with OnlineSearch and ParametricBin"),
        ((X, "abcd"), "the targets have shape (); give"),
        ((X, Y, torch.zeros(4, 2, 2)), "the groups have shape (4, 2, 2); give one label, or"),
        ((X, [1.0, float("inf"), 0.0, 0.0]), "inf is not a label; replace infinite"),
        ((["a", "b", "c", "d"], Y), "inputs of type list are no array of numbers"),
        (([[1], [1, 2], [3], [4]], Y), "inputs of type list are no array of numbers"),
        (([None] * 4, Y), "inputs of type list are no array of numbers"),
        (Stream(), "Stream has no length or no items by position; give a map-style Dataset"),
        (Items([]), "the Dataset is empty, or only some"),
        (Items([(1, 2), (1, 2, 3)]), "only some of its items have a group; give all or none one"),
        (Items([(1, 2), (1,)]), "item 1 of the Dataset is of type tuple; it must be (inputs, targ"),
        (Items([{"x": 1}]), "item 0 of the Dataset is of type dict; it must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_data_is_named(data, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Examples.of(data)
