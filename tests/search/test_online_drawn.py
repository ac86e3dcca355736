"""A search where examples are drawn by weight is that where the weights multiply."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from autobalance.counts import Counts
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings

WEIGHT = np.array([[1.0], [2.0], [3.0]])
PARAMETERS = [("emphasis",), ("weight", "additive"), ("multiplicative",)]


def examples():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 7 % 3
    x = torch.randn(90, 4, generator=generator, dtype=torch.float64)
    return x + one_hot(y, 4), y


def moved(parameters, repeats, drawn):
    """The loss after a move on the first 40 examples, each as often as it says."""
    x, y = examples()
    counts = Counts(np.array([[48.0], [24.0], [8.0]]), (0, 1, 2))
    design = replace(preset("logit-adjustment", counts), weight=WEIGHT, ridge=0.01)
    loss = ParametricCrossEntropy.from_design(design, dtype=torch.float64)
    loss.drawn = drawn
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    search = OnlineSearch(
        model,
        loss,
        "balanced",
        [(x[40:], y[40:])],
        parameters=parameters,
        dictionary="class",
        settings=OnlineSettings(every=1, recent_batches=1),
        optimizer=lambda parts: torch.optim.SGD(parts, lr=1.0),
    )
    shown = torch.repeat_interleave(torch.arange(40), repeats)
    move = search.step(x[shown], y[shown])
    assert not move.refused
    return move.alpha, float(loss(model(x[shown]), y[shown]).detach())


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_move_is_the_same(parameters):
    _, y = examples()
    weight = torch.from_numpy(WEIGHT)
    each = weight[y[:40], 0]
    alpha, value = moved(parameters, torch.ones(40, dtype=torch.long), None)
    found, drawn = moved(parameters, each.long(), weight / each.mean())
    assert abs(alpha).max() > 1e-4
    assert found == pytest.approx(alpha, rel=1e-6, abs=1e-10)
    assert drawn == pytest.approx(value, rel=1e-9)
