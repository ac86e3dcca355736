"""What loaders yield and models take, against PyTorch's own walk over nested structures."""

from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._pytree import tree_leaves, tree_map

from autobalance.batches import Batch, as_batch, logits_of, map_tensors, model_arguments
from autobalance.errors import DataError

X, Y, G = torch.arange(6.0).view(3, 2), torch.tensor([0, 1, 2]), torch.tensor([1, 0, 1])


@pytest.mark.parametrize("item", [(X, Y), [X, Y], Batch(X, Y)])
def test_a_pair_has_no_groups(item):
    batch = as_batch(item)
    assert batch.inputs is X
    assert batch.targets is Y
    assert batch.groups is None
    assert batch.group_codes.tolist() == [0, 0, 0]


@pytest.mark.parametrize("item", [(X, Y, G), [X, Y, G], Batch(X, Y, G)])
def test_a_triple_has_groups(item):
    assert as_batch(item).group_codes is G


@pytest.mark.parametrize("item", [{"x": X, "y": Y}, X, (X,), (X, Y, G, G), None])
def test_other_things_are_named(item):
    with pytest.raises(DataError, match=f"{type(item).__name__}; it must yield .inputs, targets"):
        as_batch(item)


def test_moving_a_batch_moves_every_tensor():
    moved = Batch({"a": X, "b": (X, "text")}, Y, G).to(torch.device("meta"))
    leaves = [moved.inputs["a"], moved.inputs["b"][0], moved.targets, moved.groups]
    assert {leaf.device.type for leaf in leaves} == {"meta"}
    assert moved.inputs["b"][1] == "text"
    assert Batch(X, Y).to(torch.device("meta")).groups is None


def nested(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.text(max_size=2), inner, max_size=3),
        ),
        max_leaves=8,
    )


@given(nested(st.one_of(st.integers().map(torch.tensor), st.none(), st.text(max_size=2))))
def test_every_tensor_is_mapped_and_nothing_else(structure):
    doubled = map_tensors(lambda leaf: 2 * leaf, structure)
    expected = tree_map(lambda x: 2 * x if isinstance(x, torch.Tensor) else x, structure)
    assert tree_leaves(doubled) == tree_leaves(expected)
    assert doubled == with_tuples(expected)


def with_tuples(structure):
    if isinstance(structure, dict):
        return {key: with_tuples(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(with_tuples(value) for value in structure)
    return structure


@pytest.mark.parametrize("inputs", [(X, Y), [X, Y], {"a": X, "b": Y}, OrderedDict(b=Y, a=X)])
def test_several_inputs_reach_their_arguments(inputs):
    def model(a, b):
        return a, b

    positional, named = model_arguments(inputs)
    assert model(*positional, **named) == (X, Y)


def test_one_tensor_is_one_argument():
    assert model_arguments(X) == ((X,), {})


def test_logits_are_the_output_or_its_attribute():
    assert logits_of(X) is X
    assert logits_of(SimpleNamespace(logits=X, loss=None)) is X


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (X[0], r"\(2,\)"),
        (X[None], r"\(1, 3, 2\)"),
        (SimpleNamespace(logits=X[0]), r"\(2,\)"),
        ((X, X), "tuple"),
        (None, "NoneType"),
        (X.long(), r"\(3, 2\)"),
    ],
)
def test_output_without_logits_is_named(output, found):
    with pytest.raises(DataError, match=f"the model returns {found}; it must return logits"):
        logits_of(output)
