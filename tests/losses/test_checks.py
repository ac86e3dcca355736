"""What the losses refuse, and the sentence they say."""

import math

import numpy as np
import pytest
import torch

from autobalance.errors import DataError, DesignError
from autobalance.losses import ParametricCrossEntropy, adjusted_cross_entropy


def cells():
    return ParametricCrossEntropy(np.ones((3, 2)))


REFUSED_BATCHES = {
    "group is missing": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1])),
        "values for 2 groups; pass group",
    ),
    "values of different shapes": (
        lambda: adjusted_cross_entropy(
            torch.zeros(2, 3),
            torch.tensor([0, 1]),
            torch.ones(3, 2),
            torch.zeros(3, 1),
            torch.ones(3, 2),
        ),
        r"have shapes \[\(3, 2\), \(3, 1\), \(3, 2\)\]; give three of \(K, G\)",
    ),
    "flat values": (
        lambda: adjusted_cross_entropy(
            torch.zeros(2, 3), torch.tensor([0, 1]), torch.ones(3), torch.zeros(3), torch.ones(3)
        ),
        r"give three of \(K, G\)",
    ),
    "wrong number of classes": (
        lambda: cells()(torch.zeros(2, 4), torch.tensor([0, 1]), torch.tensor([0, 1])),
        r"float32 of shape \(2, 4\) but this loss has 3 classes",
    ),
    "no batch dimension": (
        lambda: cells()(torch.zeros(3), torch.tensor(0), torch.tensor(0)),
        r"give floating logits of shape \(N, 3\)",
    ),
    "whole-number logits": (
        lambda: cells()(torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 1])),
        "logits are int64",
    ),
    "target of another length": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1, 2]), torch.tensor([0, 1])),
        r"target is int64 of shape \(3,\)",
    ),
    "whole-number shares": (
        lambda: cells()(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.long)),
        r"floating shares of shape \(2, 3\)",
    ),
    "floating class indices": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0.0, 1.0]), torch.tensor([0, 1])),
        r"give class indices of shape \(2,\)",
    ),
    "truth values as target": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([True, False]), torch.tensor([0, 1])),
        "target is bool",
    ),
    "group of another length": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0])),
        r"group is int64 of shape \(1,\) .* give shape \(2,\)$",
    ),
    "floating group": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0.0, 1.0])),
        "group is float32 .* integer codes from 0 to 1",
    ),
    "sample weights of another shape": (
        lambda: cells()(
            torch.zeros(2, 3, 4),
            torch.zeros(2, 4, dtype=torch.long),
            torch.tensor([0, 1]),
            torch.ones(4),
        ),
        r"sample_weight is float32 of shape \(4,\) .* give shape \(2,\) or \(2, 4\)",
    ),
    "values on another device": (
        lambda: cells().to("meta")(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 1])),
        r"logits are on cpu but the loss is on meta; move it with \.to\('cpu'\)",
    ),
    "class out of range": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 3]), torch.tensor([0, 1])),
        "class code 3 is out of range; this loss knows 0 to 2",
    ),
    "negative class": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, -1]), torch.tensor([0, 1])),
        r"class code -1 is out of range; .* \(and ignore_index, -100\)",
    ),
    "group out of range": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 2])),
        "group code 2 is out of range; this loss knows 0 to 1",
    ),
    "negative group": (
        lambda: cells()(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, -1])),
        "group code -1 is out of range",
    ),
    "groups for a loss without groups": (
        lambda: ParametricCrossEntropy(n_classes=3)(
            torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 1])
        ),
        "group code 1 is out of range; this loss knows 0 to 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED_BATCHES)
def test_refused_batches(plain_calls, case):
    call, message = REFUSED_BATCHES[case]
    with pytest.raises(DataError, match=message):
        call()


REFUSED_VALUES = {
    "no size": (ParametricCrossEntropy, "give n_classes"),
    "three dimensions": (lambda: ParametricCrossEntropy(np.ones((2, 2, 2))), r"give \(K,\)"),
    "no classes": (lambda: ParametricCrossEntropy(np.ones(0)), r"weight has shape \(0, 1\)"),
    "different classes": (
        lambda: ParametricCrossEntropy(np.ones(2), np.ones(3)),
        "do not agree; give",
    ),
    "different groups": (
        lambda: ParametricCrossEntropy(np.ones((2, 2)), np.ones((2, 3))),
        "do not agree",
    ),
    "another number of classes": (
        lambda: ParametricCrossEntropy(np.ones(2), n_classes=3),
        "do not agree with n_classes=3",
    ),
    "missing value": (lambda: ParametricCrossEntropy([1.0, math.nan]), "weight .* not finite"),
    "too large for the dtype": (
        lambda: ParametricCrossEntropy(additive=[1e300, 0.0]),
        "additive .* not finite in torch.float32; scale it or pass a wider dtype",
    ),
    "negative weight": (lambda: ParametricCrossEntropy([1.0, -1.0]), "weight holds -1.0"),
    "multiplier zero": (
        lambda: ParametricCrossEntropy(multiplicative=[1.0, 0.0]),
        "multiplicative holds 0.0 .* must be positive",
    ),
    "reduction": (
        lambda: ParametricCrossEntropy(n_classes=2, reduction="average"),
        "reduction 'average' is unknown; use one of",
    ),
    "smoothing": (
        lambda: ParametricCrossEntropy(n_classes=2, label_smoothing=1.0),
        r"must be in \[0, 1\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED_VALUES)
def test_refused_values(plain_calls, case):
    build, message = REFUSED_VALUES[case]
    with pytest.raises(DesignError, match=message):
        build()
