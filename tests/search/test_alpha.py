"""α while it moves: the gradient it is given, what it refuses, and its memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR

from autobalance.counts import Counts
from autobalance.losses.presets import preset
from autobalance.search.alpha import MovingAlpha, default_optimizer
from autobalance.space import PARAMETERS, RIDGE_BOUNDS, SearchSpace

RNG = np.random.default_rng(0)
COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), (0, 1, 2), (0, 1))
START = replace(preset("group-vs", COUNTS), ridge=0.05)
SPACE = SearchSpace.build(START, dictionary="cell")
SLOPES = [torch.from_numpy(RNG.normal(size=(3, 2))) for _ in range(3)]
RIDGE_SLOPE = 0.7
NONE = [torch.zeros(3, 2).double() for _ in range(3)]


SCHEDULES = {
    "exponential": lambda optimizer: ExponentialLR(optimizer, 0.8),
    "lambda": lambda optimizer: LambdaLR(optimizer, lambda step: 1 / (1 + step)),
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, 8),
}


def sgd(**options):
    return lambda tensors: torch.optim.SGD(tensors, **{"lr": 0.1, **options})


def adam(tensors):
    return torch.optim.Adam(tensors, lr=0.1, betas=(0.9, 0.99))


TOGETHER = tuple(name for name in PARAMETERS if name != "emphasis")


def linearised(space, alpha):
    """The linear function of the loss's values that the slopes are derivatives of."""
    values = space.decode(torch.from_numpy(alpha))
    parts = (values.weight, values.additive, values.multiplicative)
    total = sum(float((slope * part).sum()) for slope, part in zip(SLOPES, parts, strict=True))
    return total + RIDGE_SLOPE * float(values.ridge)


@pytest.mark.parametrize("pull", [0.0, 0.3])
@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
@pytest.mark.parametrize("parameters", [*((name,) for name in PARAMETERS), TOGETHER])
def test_it_descends_along_what_finite_differences_say(parameters, parametrisation, pull):
    space = SearchSpace.build(START, parameters, "cell-rank:3", parametrisation)
    alpha = MovingAlpha(space, sgd(lr=1e-2), pull=pull)
    for _ in range(3):  # away from 0, where a pull would not show
        before = alpha.vector
        assert alpha.step(SLOPES, RIDGE_SLOPE)
        expected = [
            (linearised(space, before + shift) - linearised(space, before - shift)) / 2e-6
            for shift in 1e-6 * np.eye(space.dimension)
        ]
        expected += pull * before * (np.arange(space.dimension) < space.n_loss_values)
        np.testing.assert_allclose((before - alpha.vector) / 1e-2, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [1e4, np.nan])
def test_a_move_out_of_bounds_is_undone_with_the_memory_of_it(size):
    options = (sgd(lr=0.05, momentum=0.9), SCHEDULES["exponential"])
    alpha, again = (MovingAlpha(SPACE, *options) for _ in range(2))
    assert alpha.step(SLOPES, RIDGE_SLOPE)
    assert again.step(SLOPES, RIDGE_SLOPE)
    before = alpha.vector
    assert not alpha.step([size * slope for slope in SLOPES], RIDGE_SLOPE)
    np.testing.assert_array_equal(alpha.vector, before)
    for each in (alpha, again):
        assert each.step(SLOPES, RIDGE_SLOPE)
    np.testing.assert_array_equal(alpha.vector, again.vector)
    assert alpha.rate == again.rate


@pytest.mark.parametrize("optimizer", [sgd(momentum=0.9, weight_decay=0.1), adam])
def test_a_parameter_without_a_hypergradient_stays(optimizer):
    """Neither its momentum nor the decay of the optimizer, nor the pull, moves it."""
    alpha = MovingAlpha(SPACE, optimizer, pull=0.5)
    assert alpha.step(SLOPES, RIDGE_SLOPE)
    before = {name: part.clone() for name, part in alpha.parts.items()}
    assert alpha.step([NONE[0], SLOPES[1], NONE[2]], 0.0)
    for name, part in alpha.parts.items():
        assert torch.equal(part, before[name]) == (name != "additive")
        assert part.grad is None


@given(st.sampled_from(sorted(SCHEDULES)), st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_halved_rate_recovers_under_any_schedule(name, events):
    """In eight steps, and never beyond. Some schedules compute a rate from the last one."""
    alpha = MovingAlpha(SPACE, sgd(lr=1e-3), SCHEDULES[name])
    plain = MovingAlpha(SPACE, sgd(lr=1e-3), SCHEDULES[name])
    halvings = 0
    for slower in events:
        if slower:
            alpha.slow_down()
            halvings += 1
        else:
            halvings = max(halvings - 1 / 8, 0)
            alpha.step(SLOPES, RIDGE_SLOPE)
            plain.step(SLOPES, RIDGE_SLOPE)
        assert alpha.rate == pytest.approx(plain.rate / 2**halvings, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("schedule", [None, *SCHEDULES.values()])
def test_it_goes_on_from_its_state(schedule):
    def steps(alpha, number):
        for place in range(number):
            alpha.step([(1 + place) * slope / 10 for slope in SLOPES], RIDGE_SLOPE)
        return alpha

    alpha = steps(MovingAlpha(SPACE, adam, schedule, pull=0.2), 3)
    alpha.slow_down()
    state = alpha.state_dict()
    steps(alpha, 2)
    restored = MovingAlpha(SPACE, adam, schedule, pull=0.2)
    restored.load_state_dict(state)
    steps(restored, 2)
    np.testing.assert_array_equal(alpha.vector, restored.vector)
    assert alpha.rate == restored.rate


def test_the_default_moves_logits_by_the_rate(small_data):
    """A first step of Adam is as long as its rate; a slope along log π moves its largest entry."""
    space = small_data.draw(groups=1, classes=3).space(
        dictionary={"weight": "class", "additive": "log-prior", "multiplicative": "class"}
    )
    alpha = MovingAlpha(space, default_optimizer(0.05, space))
    slopes = [slope[:, :1] for slope in SLOPES]
    assert alpha.step(slopes, RIDGE_SLOPE)
    moved = {name: float(part.abs().max()) for name, part in alpha.parts.items()}
    steepest = abs(space.dictionaries["additive"].matrix).max()
    assert moved["weight"] == pytest.approx(0.05, rel=1e-4)
    assert moved["additive"] * steepest == pytest.approx(0.05, rel=1e-4)
    assert moved["multiplicative"] * 5 == pytest.approx(0.05, rel=1e-4)


def test_the_ridge_stops_at_its_bounds_while_the_rest_moves_on():
    alpha = MovingAlpha(SPACE, sgd(lr=0.01))
    for _ in range(2):
        before = alpha.vector
        assert alpha.step(SLOPES, 1e9)
        assert (alpha.vector != before)[:-1].all()
        assert float(alpha.values.ridge) == pytest.approx(RIDGE_BOUNDS[0])
