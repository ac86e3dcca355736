"""A trained network predicts in evaluation mode, with a bias on its logits."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from autobalance.reproduce.images.network import Network
from autobalance.training.examples import Examples

POINTS = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.5]])


class Points(Dataset):
    """The same, when they are asked for."""

    def __len__(self):
        return len(POINTS)

    def __getitem__(self, position):
        return POINTS[position]


def half():
    """Logits that are the points; in training mode, half of them are dropped."""
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Dropout(0.5)).train()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3))
    return model


def test_codes_are_of_the_largest_logit_in_evaluation_mode():
    model = half()
    predict = Network(model)
    assert predict(Examples.coded(POINTS, [0, 1, 2])).tolist() == [1, 0, 2]
    assert predict.logits(Examples.coded(POINTS, [0, 1, 2])).dtype == torch.float64
    assert model.training


def test_a_bias_is_added_to_the_logits():
    bias = np.array([0.0, -1.5, 0.25])
    predict = Network(half(), bias)
    examples = Examples.coded(POINTS, [0, 1, 2])
    assert predict.logits(examples).tolist() == (POINTS.double() + torch.from_numpy(bias)).tolist()
    assert predict(examples).tolist() == [0, 0, 2]


def test_examples_that_are_read_ahead_are_predicted_alike():
    predict = Network(half(), workers=1)
    assert predict(Examples.coded(Points(), [0, 1, 2])).tolist() == [1, 0, 2]
