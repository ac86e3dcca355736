"""Labelled examples of any kind, by position: tensors in memory, or a torch ``Dataset``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, Shaped
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from autobalance.batches import Batch, Inputs, map_tensors
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.labels import Label
from autobalance.sensitive import encode_sensitive


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples with codes of class and group.

    Parameters
    ----------
    inputs
        Tensors with the examples along the first dimension, alone or in a tuple or mapping; or a
        map-style ``Dataset`` whose items are the inputs, or tuples that begin with them.
    targets, groups
        Codes, shape (N,); ``groups`` is ``None`` without groups.
    classes, group_labels
        What the codes stand for.
    """

    inputs: Inputs | Dataset[Any]
    targets: Integer[Tensor, "N"]
    groups: Integer[Tensor, "N"] | None
    classes: tuple[Label, ...]
    group_labels: tuple[Label, ...] | None = None

    def __post_init__(self) -> None:
        for inputs in _leaves(self.inputs):
            if inputs.ndim == 0 or len(inputs) != len(self.targets):
                raise DataError(
                    f"there are {len(self.targets)} targets but inputs of shape "
                    f"{tuple(inputs.shape)}; give one target for each example along the first "
                    "dimension"
                )
        if self.groups is not None and len(self.groups) != len(self.targets):
            raise DataError(
                f"there are {len(self.targets)} targets but {len(self.groups)} groups; give one "
                "group for each example"
            )

    @classmethod
    def of(cls, data: Any) -> Examples:
        """Read (inputs, targets), (inputs, targets, groups), a ``Dataset`` of such, or examples.

        Inputs may be tensors or arrays, alone or in a tuple or mapping; arrays of floats become
        tensors of PyTorch's default dtype, which models have. Targets and groups hold labels of any
        kind, and are coded in sorted order; groups of several columns have tuples as labels. A
        ``Dataset`` is read through once for its labels.

        Raises
        ------
        DataError
            If it is none of these, or lengths differ.
        """
        if isinstance(data, cls):
            return data
        if isinstance(data, Dataset):
            return cls.coded(data, *_labels_of(data))
        if not isinstance(data, Sequence) or len(data) not in (2, 3):
            raise DataError(
                f"the data are of type {type(data).__name__}; give (inputs, targets), "
                "(inputs, targets, groups) or a Dataset whose items are such"
            )
        return cls.coded(_as_tensors(data[0]), *data[1:])

    @classmethod
    def coded(cls, inputs: Any, targets: Any, groups: Any = None) -> Examples:
        """Inputs as they are, with labels of any kind, which are coded as :meth:`of` does.

        For a ``Dataset`` whose labels are known, so that it need not be read for them.

        Raises
        ------
        DataError
            If targets or groups are no labels, or lengths differ.
        """
        table = _as_table(targets)
        if table.ndim != 1:
            raise DataError(
                f"the targets have shape {table.shape}; give the label of one class per example, "
                "or, where each has several labels, search beside a loop of your own with "
                "OnlineSearch and ParametricBinaryCrossEntropy"
            )
        y = encode_sensitive(table, len(table))
        if groups is None:
            return cls(inputs, torch.from_numpy(y.codes), None, y.labels)
        table = _as_table(groups)
        if table.ndim not in (1, 2):
            raise DataError(
                f"the groups have shape {table.shape}; give one label, or one row of labels, per "
                "example"
            )
        g = encode_sensitive(table, len(table))
        return cls(inputs, torch.from_numpy(y.codes), torch.from_numpy(g.codes), y.labels, g.labels)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def counts(self) -> Counts:
        """Examples per cell, in the order of the codes."""
        return Counts.from_codes(
            self.targets.numpy(),
            None if self.groups is None else self.groups.numpy(),
            self.classes,
            self.group_labels,
        )

    @property
    def cells(self) -> Integer[ndarray, "N"]:
        """Code of each example's (class, group) cell."""
        if self.groups is None:
            return np.asarray(self.targets.numpy())
        return np.asarray((self.targets * len(self.group_labels or ()) + self.groups).numpy())

    @cached_property
    def inputs_digest(self) -> str:
        """Digest of inputs in memory; of a ``Dataset``, only what kind it is and how long."""
        if isinstance(self.inputs, Dataset):
            return f"{type(self.inputs).__qualname__} of {len(self)}"
        digest = hashlib.sha256()
        for leaf in _leaves(self.inputs):
            digest.update(f"{leaf.dtype} {tuple(leaf.shape)}".encode())
            # as bytes, since NumPy has not every dtype
            flat = leaf.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    @property
    def device(self) -> torch.device:
        """Where inputs in memory lie; a ``Dataset`` gives them on the CPU."""
        leaves = [] if isinstance(self.inputs, Dataset) else _leaves(self.inputs)
        return leaves[0].device if leaves else torch.device("cpu")

    def batch(self, index: Integer[Tensor, "B"]) -> Batch:
        """The examples at these positions, on the inputs' device."""
        if isinstance(self.inputs, Dataset):
            inputs = default_collate([inputs_of(self.inputs[int(at)]) for at in index])
        else:
            inputs = map_tensors(lambda leaf: leaf[index.to(leaf.device)], self.inputs)
        return self.labelled(inputs, index)

    def labelled(self, inputs: Inputs, index: Integer[Tensor, "B"]) -> Batch:
        """Inputs of the examples at these positions, with their codes."""
        targets, groups = self._codes
        index = index.to(targets.device)
        return Batch(inputs, targets[index], None if groups is None else groups[index])

    @cached_property
    def _codes(self) -> tuple[Integer[Tensor, "N"], Integer[Tensor, "N"] | None]:
        """The codes beside the inputs: a batch of them need not be copied to a GPU."""
        groups = None if self.groups is None else self.groups.to(self.device)
        return self.targets.to(self.device), groups

    def to(self, device: torch.device) -> Examples:
        """Inputs in memory on a device; ``targets`` and ``groups`` stay where they are."""
        if isinstance(self.inputs, Dataset):
            return self
        inputs = map_tensors(lambda leaf: leaf.to(device), self.inputs)
        return Examples(inputs, self.targets, self.groups, self.classes, self.group_labels)


def inputs_of(item: Any) -> Inputs:
    """The inputs in an item of a ``Dataset``."""
    return item[0] if isinstance(item, Sequence) else item


def _as_tensors(inputs: Any) -> Inputs:
    if isinstance(inputs, Tensor):
        return inputs
    if isinstance(inputs, Mapping):
        return {key: _as_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_as_tensors(value) for value in inputs)
    try:
        # what is read only, or runs backwards, is copied: no tensor can share it
        tensor = torch.as_tensor(np.require(inputs, requirements=["C", "W"]))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"inputs of type {type(inputs).__name__} are no array of numbers ({error}); give "
            "tensors or arrays, alone or in a tuple or mapping"
        ) from error
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor


def _as_table(labels: Any) -> Shaped[ndarray, "..."]:
    """Labels as plain values; a single column counts as none."""
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        labels = [_plain(label) for label in labels]
    table = np.asarray(_plain(labels), dtype=object)
    return table[:, 0] if table.ndim == 2 and table.shape[1] == 1 else table


def _plain(labels: Any) -> Any:
    return labels.tolist() if isinstance(labels, Tensor) else labels


def _labels_of(data: Dataset[Any]) -> list[list[Any]]:
    """The targets, and the groups if there are any, without keeping the inputs."""
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise DataError(
            f"{type(data).__name__} has no length or no items by position; give a map-style Dataset"
        )
    labels: list[Sequence[Any]] = []
    for position in range(len(data)):
        item = data[position]
        if not isinstance(item, Sequence) or len(item) not in (2, 3):
            raise DataError(
                f"item {position} of the Dataset is of type {type(item).__name__}; it must be "
                "(inputs, target) or (inputs, target, group)"
            )
        labels.append(item[1:])
    if len({len(each) for each in labels}) != 1:
        raise DataError(
            "the Dataset is empty, or only some of its items have a group; give all or none one"
        )
    return [list(column) for column in zip(*labels, strict=True)]


def _leaves(inputs: Inputs) -> list[Tensor]:
    leaves: list[Tensor] = []

    def keep(leaf: Tensor) -> Tensor:
        leaves.append(leaf)
        return leaf

    map_tensors(keep, inputs)
    return leaves
