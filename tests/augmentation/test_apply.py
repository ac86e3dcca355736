"""A policy on a batch: each example gets what its own cell has, at what it drew."""

import math

import numpy as np
import pytest
import torch

from autobalance.augmentation.apply import Part, apply, draw
from autobalance.augmentation.operations import OPERATIONS, VECTORS
from autobalance.augmentation.policy import Policy

ON_IMAGES = [name for name, each in OPERATIONS.items() if each.takes != VECTORS]
CHAINS = [(name,) for name in OPERATIONS] + [("rotate", "brightness"), ("solarize", "shear-y")]
Y, G = torch.tensor([0, 1, 2, 1, 0, 2]), torch.tensor([0, 1, 0, 0, 1, 1])
LARGE = 24
"""Pixels a side, enough for all values and for a histogram."""
EXACT = {"rtol": 0, "atol": 1e-12}


def values_of(policy):
    return torch.tensor(policy.probability), torch.tensor(policy.magnitude)


def drawn_for(policy, inputs, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return draw(policy.operations, len(inputs), tuple(inputs.shape[1:]), generator)


def changed(policy, inputs, parts, y=Y, g=G, temperature=0.0, values=None):
    values = values_of(policy) if values is None else values
    return apply(policy.operations, inputs, y, g, *values, parts, temperature)


def permuted(parts, order):
    """What is drawn for a batch in another order."""
    place = order.argsort()
    return tuple(part._replace(members=place[part.members]) for part in parts)


def alone(parts, example):
    """What one example of a batch drew."""
    found = []
    for members, noise, amounts in parts:
        own = members == example
        place = torch.zeros(int(own.sum()), dtype=torch.long)
        found.append(Part(place, noise[own], tuple(amount[own] for amount in amounts)))
    return tuple(found)


def several(policy_of):
    """Three sub-policies of two operations."""
    parts = [
        policy_of(*names, seed=seed)
        for seed, names in enumerate(
            [("rotate", "posterize"), ("equalize", "solarize"), ("shear-x", "contrast")]
        )
    ]
    tables = [
        np.concatenate([getattr(part, name) for part in parts], 2)
        for name in ("probability", "magnitude")
    ]
    return Policy(tuple(part.sub_policies[0] for part in parts), *tables)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_a_batch_is_its_examples_one_by_one(draw_inputs, policy_of, temperature):
    policy, images = several(policy_of), draw_inputs()
    parts = drawn_for(policy, images)
    assert min(len(part.members) for part in parts) > 0
    together = changed(policy, images, parts, temperature=temperature)
    for place in range(len(images)):
        own = slice(place, place + 1)
        single = changed(policy, images[own], alone(parts, place), Y[own], G[own], temperature)
        torch.testing.assert_close(together[own], single, **EXACT)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_a_batch_in_another_order_is_changed_to_it_in_that_order(
    draw_inputs, policy_of, temperature
):
    policy, images = several(policy_of), draw_inputs()
    order = torch.tensor([4, 2, 0, 5, 3, 1])
    parts = drawn_for(policy, images)
    expected = changed(policy, images, parts, temperature=temperature)[order]
    found = changed(
        policy, images[order], permuted(parts, order), Y[order], G[order], temperature=temperature
    )
    torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_only_the_values_of_its_own_cell_matter_to_an_example(
    draw_inputs, policy_of, names, temperature
):
    policy = policy_of(*names)
    inputs = draw_inputs(takes=policy.takes, size=LARGE)
    parts = drawn_for(policy, inputs)
    before = changed(policy, inputs, parts, temperature=temperature)
    probability, magnitude = values_of(policy)
    probability[1, 0], magnitude[1, 0] = 1 - 1e-6, 0.95 * magnitude[1, 0]
    after = changed(policy, inputs, parts, temperature=temperature, values=(probability, magnitude))
    moved = (after != before).flatten(1).any(1)
    own = (Y == 1) & (G == 0)
    assert not moved[~own].any()
    if temperature:
        assert moved[own].all()


def test_gradients_reach_the_values_of_its_own_cell_alone(draw_inputs, policy_of):
    policy = several(policy_of)
    images = draw_inputs(size=LARGE)
    values = [value.requires_grad_() for value in values_of(policy)]
    parts = drawn_for(policy, images)
    for example, (y, g) in enumerate(zip(Y, G, strict=True)):
        result = changed(policy, images, parts, temperature=0.3, values=values)[example]
        (sub_policy,) = (number for number, p in enumerate(parts) if example in p.members)
        for slope in torch.autograd.grad(result.square().sum(), values):
            reached = slope.nonzero()[:, :3].unique(dim=0)
            assert reached.tolist() == [[int(y), int(g), sub_policy]]


@pytest.mark.parametrize("name", [n for n, each in OPERATIONS.items() if each.largest > 0])
def test_magnitude_0_changes_nothing(draw_inputs, policy_of, name):
    policy = policy_of(name, strength=(0, 0), probability=(1, 1))
    inputs = draw_inputs(takes=policy.takes)
    found = changed(policy, inputs, drawn_for(policy, inputs))
    torch.testing.assert_close(found, inputs, **EXACT)


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_probability_0_changes_nothing_and_1_all(draw_inputs, policy_of, names):
    policy = policy_of(*names, strength=(0.9, 0.9))
    inputs = draw_inputs(takes=policy.takes, size=LARGE)
    parts = drawn_for(policy, inputs)
    never, always = (policy_of(*names, probability=(p, p), strength=(0.9, 0.9)) for p in (0, 1))
    assert torch.equal(changed(never, inputs, parts), inputs)
    expected = inputs
    for place, each in enumerate(policy.operations[0]):
        amount = parts[0].amounts[place]
        reach = values_of(always)[1][Y, G][:, 0, place]
        strength = reach.view(-1, *(1,) * (amount.ndim - 1)) * amount
        expected = each.apply(expected, strength[parts[0].members.argsort()])
    found = changed(always, inputs, parts)
    torch.testing.assert_close(found, expected, **EXACT)
    assert (found != inputs).flatten(1).any(1).all()


def test_a_probability_is_how_often_it_is_applied():
    """Within four standard deviations of a binomial variable, cell by cell."""
    n = 4000
    probability = np.array([[0.02, 0.3], [0.5, 0.97]])
    policy = Policy((("ball",),), probability[:, :, None, None], np.ones((2, 2, 1, 1)))
    vectors = torch.zeros(4 * n, 2)
    y, g = torch.arange(4 * n) % 2, torch.arange(4 * n) // 2 % 2
    moved = changed(policy, vectors, drawn_for(policy, vectors), y, g).any(1)
    for (k, j), p in np.ndenumerate(probability):
        share = float(moved[(y == k) & (g == j)].double().mean())
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_operations_of_a_chain_are_applied_independently_and_sub_policies_alike():
    n = 20000
    policy = Policy.uniform(1, 1, [("ball", "ball"), ("ball", "ball")], probability=0.3)
    parts = drawn_for(policy, torch.zeros(n, 1))
    assert sorted(torch.cat([part.members for part in parts]).tolist()) == [*range(n)]
    assert abs(len(parts[0].members) / n - 0.5) < 4 * 0.5 / n**0.5
    applied = torch.cat([part.noise > math.log(0.7 / 0.3) for part in parts]).double()
    assert abs(float(applied.prod(1).mean()) - 0.09) < 4 * math.sqrt(0.09 * 0.91 / n)


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_at_no_temperature_the_relaxed_are_the_hard(draw_inputs, policy_of, names):
    policy = policy_of(*names)
    inputs = draw_inputs(takes=policy.takes)
    parts = drawn_for(policy, inputs)
    hard = changed(policy, inputs, parts)
    for temperature in (1e-4, 1e-8):
        relaxed = changed(policy, inputs, parts, temperature=temperature)
        torch.testing.assert_close(relaxed, hard, rtol=0, atol=1e-9)


def test_relaxed_it_is_the_equation(draw_inputs, policy_of):
    """By hand, from noise that is the logistic transform of uniform draws."""
    policy, images = policy_of("invert", classes=1, groups=1, probability=(0.3, 0.3)), draw_inputs()
    parts = drawn_for(policy, images)
    share = 1 / (1 + np.exp(-(math.log(0.3 / 0.7) + parts[0].noise.numpy()) / 0.5))
    share = share[parts[0].members.argsort(), :, None, None]
    expected = share * (1 - images.numpy()) + (1 - share) * images.numpy()
    zeros = torch.zeros(len(images), dtype=torch.long)
    found = changed(policy, images, parts, zeros, zeros, temperature=0.5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def expectation_slope(policy, inputs, function, parts, temperature):
    """Mean over the draws of the derivative of ``function`` by the probability, and its error."""
    probability, magnitude = values_of(policy)
    own = probability.expand(len(inputs), -1, -1, -1).clone().requires_grad_()
    y = torch.arange(len(inputs))  # each draw a class of its own, so that it has its own slope
    g = torch.zeros_like(y)
    values = own, magnitude.expand(len(inputs), -1, -1, -1)
    result = apply(policy.operations, inputs, y, g, *values, parts, temperature)
    (slope,) = torch.autograd.grad(function(result).sum(), own)
    slope = slope.flatten()
    return float(slope.mean()), float(slope.std() / len(slope) ** 0.5)


def test_the_relaxed_slope_is_that_of_the_expectation_over_hard_draws(draw_inputs):
    """Within four standard errors and a bias of 2% at T = 0.1; d E[f] / dp = f(on) − f(off)."""
    n, probability = 20000, 0.35
    policy = Policy((("invert",),), np.full((1, 1, 1, 1), probability), np.zeros((1, 1, 1, 1)))
    image = draw_inputs(n=1)[:, :1, :2, :2]

    def function(x):
        return (x.flatten(1) - 0.4).pow(3).sum(1) + x.flatten(1)[:, 0]

    images = image.expand(n, -1, -1, -1)
    exact = float(function(1 - image) - function(image))
    assert abs(exact) > 0.1
    found, error = expectation_slope(policy, images, function, drawn_for(policy, images), 0.1)
    assert error < 0.03 * abs(exact)
    assert abs(found - exact) < 4 * error + 0.02 * abs(exact)
    hard = changed(policy, images, drawn_for(policy, images), *torch.zeros(2, n, dtype=torch.long))
    mean = probability * float(function(1 - image)) + (1 - probability) * float(function(image))
    spread = float(function(hard).std())
    assert abs(float(function(hard).mean()) - mean) < 4 * spread / n**0.5


@pytest.mark.parametrize("name", ON_IMAGES)
def test_bytes_are_the_numbers_that_they_stand_for(draw_inputs, policy_of, name):
    policy, images = policy_of(name, probability=(1, 1)), draw_inputs(dtype=torch.uint8)
    parts = drawn_for(policy, images)
    found = changed(policy, images, parts)
    expected = 255 * changed(policy, images.double() / 255, parts)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_no_example_is_no_trouble(draw_inputs, policy_of):
    policy, images = several(policy_of), draw_inputs()[:0]
    found = changed(policy, images, drawn_for(policy, images), Y[:0], G[:0])
    assert found.shape == images.shape
