"""α while it moves: the gradient it is given, what it refuses, and its memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.losses.presets import preset
from autobalance.search.alpha import MovingAlpha, default_optimizer
from autobalance.space import PARAMETERS, RIDGE_BOUNDS, SearchSpace

RNG = np.random.default_rng(0)
COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), (0, 1, 2), (0, 1))
POLICY = Policy.uniform(3, 2, [("rotate", "invert"), ("equalize", "posterize")])
START = replace(preset("group-vs", COUNTS), ridge=0.05)
AUGMENTING = replace(START, policy=POLICY)
SPACE = SearchSpace.build(START, dictionary="cell")
SLOPES = [torch.from_numpy(RNG.normal(size=(3, 2))) for _ in range(3)]
POLICY_SLOPES = [torch.from_numpy(RNG.normal(size=POLICY.magnitude.shape)) for _ in range(2)]
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
    parts = (values.weight, values.additive, values.multiplicative, *values.policy)
    slopes = [*SLOPES, *POLICY_SLOPES]
    total = sum(float((slope * part).sum()) for slope, part in zip(slopes, parts, strict=True))
    return total + RIDGE_SLOPE * float(values.ridge)


@pytest.mark.parametrize("pull", [0.0, 0.3])
@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
@pytest.mark.parametrize("parameters", [*((name,) for name in PARAMETERS), TOGETHER])
def test_it_descends_along_what_finite_differences_say(parameters, parametrisation, pull):
    space = SearchSpace.build(AUGMENTING, parameters, "cell-rank:3", parametrisation)
    alpha = MovingAlpha(space, sgd(lr=1e-2), pull=pull)
    for _ in range(3):  # away from 0, where a pull would not show
        before = alpha.vector
        assert alpha.step([*SLOPES, *POLICY_SLOPES], RIDGE_SLOPE)
        expected = [
            (linearised(space, before + shift) - linearised(space, before - shift)) / 2e-6
            for shift in 1e-6 * np.eye(space.dimension)
        ]
        expected += pull * before * (np.arange(space.dimension) < space.n_loss_values)
        np.testing.assert_allclose((before - alpha.vector) / 1e-2, expected, rtol=1e-5, atol=1e-7)


def test_slopes_of_a_policy_that_is_not_searched_are_not_needed():
    """The loss moves as without one."""
    with_one, without = (
        MovingAlpha(SearchSpace.build(start, ("additive", "ridge"), "cell"), sgd())
        for start in (AUGMENTING, START)
    )
    for alpha in (with_one, without):
        assert alpha.step(SLOPES, RIDGE_SLOPE)
    np.testing.assert_array_equal(with_one.vector, without.vector)
    assert with_one.vector.all()


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


@pytest.mark.parametrize("moving", ["additive", "probability", "magnitude"])
def test_so_does_a_part_of_a_policy_without_one(moving):
    parameters = ("additive", "probability", "magnitude")
    alpha = MovingAlpha(SearchSpace.build(AUGMENTING, parameters, "one"), adam, pull=0.5)
    nothing = torch.zeros_like(POLICY_SLOPES[0])
    slopes = {"additive": SLOPES[1], **dict(zip(parameters[1:], POLICY_SLOPES, strict=True))}
    assert alpha.step([NONE[0], SLOPES[1], NONE[2], *POLICY_SLOPES], 0.0)
    before = {name: part.clone() for name, part in alpha.parts.items()}
    given_ = {"additive": NONE[0], "probability": nothing, "magnitude": nothing}
    additive, *policy = (given_ | {moving: slopes[moving]}).values()
    assert alpha.step([NONE[0], additive, NONE[2], *policy], 0.0)
    for name, part in alpha.parts.items():
        assert torch.equal(part, before[name]) == (name != moving)


def test_the_values_of_a_policy_stop_at_their_bounds_while_the_rest_moves_on():
    space = SearchSpace.build(AUGMENTING, ("additive", "magnitude", "ridge"), "cell")
    alpha = MovingAlpha(space, sgd(lr=0.01))
    steep = 1e5 * torch.ones_like(POLICY_SLOPES[0])
    for _ in range(2):
        before = alpha.parts["additive"].clone()
        assert alpha.step([*SLOPES, steep, steep], RIDGE_SLOPE)
        assert (alpha.parts["additive"] != before).all()
        assert set(alpha.parts["magnitude"].tolist()) == {-6.0}
    assert not alpha.step([*SLOPES, steep, steep * torch.nan], RIDGE_SLOPE)
    assert set(alpha.parts["magnitude"].tolist()) == {-6.0}


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


def test_the_default_moves_the_log_odds_of_a_policy_by_the_rate():
    """As a root mean square, each in proportion to its slope; the rest moves as without one."""
    space = SearchSpace.build(AUGMENTING, ("additive", "probability", "magnitude"), "cell")
    alpha, plain = (
        MovingAlpha(space, optimizer) for optimizer in (default_optimizer(0.05, space), sgd())
    )
    for each in (alpha, plain):
        assert each.step([*SLOPES, *POLICY_SLOPES], 0.0)
    for name in ("probability", "magnitude"):
        moved, slope = alpha.parts[name], plain.parts[name] / -0.1
        torch.testing.assert_close(moved, -0.05 * slope / slope.square().mean().sqrt())
    torch.testing.assert_close(alpha.parts["additive"].abs(), torch.full((6,), 0.05).double())


def test_the_ridge_stops_at_its_bounds_while_the_rest_moves_on():
    alpha = MovingAlpha(SPACE, sgd(lr=0.01))
    for _ in range(2):
        before = alpha.vector
        assert alpha.step(SLOPES, 1e9)
        assert (alpha.vector != before)[:-1].all()
        assert float(alpha.values.ridge) == pytest.approx(RIDGE_BOUNDS[0])
