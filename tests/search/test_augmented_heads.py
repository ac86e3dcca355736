"""Heads on balls: the gradient in the radii against refitting, and what balls of radius 0 do."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.augmentation.policy import Policy
from autobalance.errors import DesignError
from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.search.augmented_heads import (
    AugmentedHeads,
    heads_for,
    require_balls,
    starting_radius,
)
from autobalance.search.exact import exact_search
from autobalance.search.heads import LinearHeads
from autobalance.search.moved_features import Draws, MovedFeatures
from autobalance.search.refit import refit
from autobalance.space import SearchSpace

EVERYTHING = ("weight", "additive", "multiplicative", "magnitude", "ridge")
PRECISE = {"curvature_dtype": torch.float64, "tolerance": 1e-10}


def with_balls(data, radius, start="cross-entropy"):
    radii = np.broadcast_to(radius, data.counts.values.shape)
    return replace(data.start(start), policy=Policy.ball(radii))


def radii_of(data, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 1.5, data.counts.values.shape)


@pytest.mark.parametrize("loss", ["cross-entropy", "error"])
@pytest.mark.parametrize("parameters", [("magnitude",), EVERYTHING], ids=["radii", "everything"])
@pytest.mark.parametrize("dictionary", ["class", "line", "one", "cell"])
def test_the_gradient_is_that_of_refitting(small_data, dictionary, parameters, loss):
    data = small_data.draw(groups=2, weighted=True)
    start = with_balls(data, radii_of(data), "group-vs")
    space = SearchSpace.build(start, parameters, dictionary)
    features = data.features()
    features.chunk_rows = 200  # several chunks of copies
    problem = data.problem(space, "group-balanced", held_out_loss=loss, features=features)
    assert len(problem.heads.features.chunks) > 1
    alpha = 0.3 * np.random.default_rng(1).normal(size=space.dimension)
    _, gradient = problem.value_and_gradient(alpha)
    assert np.linalg.norm(gradient) > 1e-5
    for entry, unit in enumerate(np.eye(space.dimension)):
        ahead, behind = (problem.value_and_gradient(alpha + s * 1e-4 * unit)[0] for s in (1, -1))
        allowed = 1e-4 * np.abs(gradient).max()
        assert gradient[entry] == pytest.approx((ahead - behind) / 2e-4, rel=1e-4, abs=allowed)


def test_balls_of_radius_0_change_nothing(small_data):
    data = small_data.draw(groups=2, weighted=True)
    plain, balls = (
        data.problem(SearchSpace.build(start, ("additive", "ridge")), "worst-group")
        for start in (data.start("group-la"), with_balls(data, 0.0, "group-la"))
    )
    assert isinstance(balls.heads, AugmentedHeads)
    alpha = np.full(plain.space.dimension, 0.3)
    value, slope = plain.value_and_gradient(alpha)
    again, same = balls.value_and_gradient(alpha)
    assert again == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(same, slope, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(balls.heads.theta, plain.heads.theta, rtol=0, atol=1e-8)


def test_without_a_policy_heads_are_plain(small_data):
    data = small_data.draw()
    problem = data.problem(data.space())
    assert type(problem.heads) is LinearHeads
    assert problem.heads.examples is problem.heads.features
    assert problem.heads.policy_products(problem.heads.theta) == ()


def test_refit_minimises_the_mean_loss_of_the_copies(small_data):
    data = small_data.draw(groups=2, weighted=True)
    features, design = data.features(), with_balls(data, radii_of(data), "group-vs")
    draws = Draws(6, seed=3)
    arguments = (features, data.y, data.g, data.sample_weight)
    theta = refit(*arguments, design, None, 1e-10, torch.float64, draws)
    moved = MovedFeatures(features, draws)
    y, g = (torch.from_numpy(codes)[moved.example] for codes in (data.y, data.g))
    moved.radius = torch.from_numpy(design.policy.magnitude[data.y, data.g, 0, 0])
    (rows,) = moved.chunks
    theta.requires_grad_()
    losses = adjusted_cross_entropy(
        moved.logits(theta[None], rows)[0].T,
        y,
        *(
            torch.from_numpy(getattr(design, name).copy())
            for name in ("weight", "additive", "multiplicative")
        ),
        group=g,
        reduction="none",
    )
    share = torch.from_numpy(data.sample_weight / data.sample_weight.sum())[moved.example] / 6
    total = (share * losses).sum() + design.ridge / 2 * (theta[:, :-1] ** 2).sum()
    (gradient,) = torch.autograd.grad(total, theta)
    torch.testing.assert_close(gradient[:, :-1], 0 * gradient[:, :-1], rtol=0, atol=1e-9)
    plain = refit(*arguments, replace(design, policy=None), None, 1e-10, torch.float64)
    assert (theta - plain).abs().max() > 0.01


def test_held_out_examples_are_not_moved(small_data):
    data = small_data.draw()
    problem = data.problem(SearchSpace.build(with_balls(data, 2.0), ("magnitude",)))
    problem.value_and_gradient(np.zeros(problem.space.dimension))
    heads, folds = problem.heads, data.folds()
    found = heads.outputs(torch.from_numpy(folds.fold), torch.from_numpy(folds.row))
    expected = torch.einsum(
        "mke,me->mk", heads.theta[folds.fold], data.features().values[folds.row]
    )
    torch.testing.assert_close(found, expected)


def test_a_search_learns_radii_and_keeps_them_in_the_design(small_data):
    data = small_data.draw(groups=1, rows=200, features=8)
    start = with_balls(data, 0.3 * starting_radius(8))
    problem = data.problem(SearchSpace.build(replace(start, ridge=1e-4), ("magnitude",)))
    result = exact_search(problem)
    assert result.status == "converged"
    assert result.value < result.history[0].objective - 0.005
    assert result.design.policy.sub_policies == (("ball",),)
    assert (result.design.policy.magnitude > start.policy.magnitude).any()


@pytest.mark.parametrize(
    "policy",
    [
        Policy.uniform(3, 2, (("rotate", "brightness"),)),
        Policy.uniform(3, 2, (("ball",),)),
        Policy.uniform(3, 2, (("ball",), ("ball",)), probability=1.0),
    ],
    ids=["images", "not always", "two"],
)
def test_only_balls_that_are_always_applied(policy):
    for refusing in (require_balls, heads_for):
        with pytest.raises(DesignError, match=r"only a ball around each example.*Policy\.ball"):
            refusing(policy)
