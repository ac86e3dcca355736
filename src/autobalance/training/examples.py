"""Labelled examples of any kind, by position: tensors in memory, or a torch ``Dataset``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from autobalance.batches import Batch, Inputs, map_tensors
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.labels import Label, as_label


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples with codes of class and group.

    Parameters
    ----------
    inputs
        Tensors with the examples along the first dimension, alone or in a tuple or mapping; or a
        map-style ``Dataset`` whose items begin with the inputs.
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
            if len(inputs) != len(self.targets):
                raise DataError(
                    f"there are {len(inputs)} inputs but {len(self.targets)} targets; give one "
                    "target for each example"
                )

    @classmethod
    def of(cls, data: Any) -> Examples:
        """Read (inputs, targets), (inputs, targets, groups), a ``Dataset`` of such, or examples.

        Inputs may be tensors or arrays, alone or in a tuple or mapping; targets and groups hold
        labels of any kind. A ``Dataset`` is read through once for its labels.

        Raises
        ------
        DataError
            If it is none of these, or lengths differ.
        """
        if isinstance(data, cls):
            return data
        if isinstance(data, Dataset):
            items = [data[position] for position in range(len(data))]  # type: ignore[arg-type]
            labels = [
                np.array(column) for column in zip(*(item[1:] for item in items), strict=True)
            ]
            return cls._coded(data, *labels)
        if not isinstance(data, Sequence) or len(data) not in (2, 3):
            raise DataError(
                f"the data are of type {type(data).__name__}; give (inputs, targets), "
                "(inputs, targets, groups) or a Dataset whose items are such"
            )
        return cls._coded(_as_tensors(data[0]), *(np.asarray(labels) for labels in data[1:]))

    @classmethod
    def _coded(cls, inputs: Any, targets: ndarray, groups: ndarray | None = None) -> Examples:
        classes, y = np.unique(targets, return_inverse=True)
        names, g = (None, None) if groups is None else np.unique(groups, return_inverse=True)
        return cls(
            inputs,
            torch.from_numpy(y.reshape(-1)),
            None if g is None else torch.from_numpy(g.reshape(-1)),
            tuple(as_label(label) for label in classes),
            None if names is None else tuple(as_label(label) for label in names),
        )

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

    def batch(self, index: Integer[Tensor, "B"]) -> Batch:
        """The examples at these positions."""
        if isinstance(self.inputs, Dataset):
            inputs = default_collate([self.inputs[int(position)][0] for position in index])
        else:
            inputs = map_tensors(lambda leaf: leaf[index.to(leaf.device)], self.inputs)
        groups = None if self.groups is None else self.groups[index]
        return Batch(inputs, self.targets[index], groups)

    def to(self, device: torch.device) -> Examples:
        """Inputs in memory on a device; codes stay where they are."""
        if isinstance(self.inputs, Dataset):
            return self
        inputs = map_tensors(lambda leaf: leaf.to(device), self.inputs)
        return Examples(inputs, self.targets, self.groups, self.classes, self.group_labels)


def _as_tensors(inputs: Any) -> Inputs:
    if isinstance(inputs, Tensor):
        return inputs
    if isinstance(inputs, dict):
        return {key: _as_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_as_tensors(value) for value in inputs)
    return torch.as_tensor(np.asarray(inputs))


def _leaves(inputs: Inputs) -> list[Tensor]:
    leaves: list[Tensor] = []

    def keep(leaf: Tensor) -> Tensor:
        leaves.append(leaf)
        return leaf

    map_tensors(keep, inputs)
    return leaves
