"""Which numbers spoil a network."""

import pytest
import torch
from torch import nn

from autobalance.models.sound import is_sound


def a_model():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
    return model


@pytest.mark.parametrize(
    ("place", "value", "sound"),
    [
        (lambda model: model[0].weight, torch.inf, False),
        (lambda model: model[0].weight, torch.nan, False),
        (lambda model: model.frozen, -torch.inf, True),
        (lambda model: model.frozen, torch.nan, False),
        (lambda model: model[1].running_mean, torch.inf, True),
        (lambda model: model[1].running_mean, torch.nan, False),
    ],
)
def test_infinity_is_for_masks_and_nan_for_nothing(place, value, sound):
    model = a_model()
    assert is_sound(model)
    with torch.no_grad():
        place(model).view(-1)[1] = value
    assert is_sound(model) == sound
