"""Probabilities, the models' losses and the cover of the ball."""

import numpy as np
import pytest

from autobalance.reproduce.theory.known_world import (
    N_CLASSES,
    N_INPUTS,
    ball_cover,
    class_blocks,
    known_world,
)

WORLD = known_world(0)


def test_joint_is_a_long_tailed_distribution():
    assert WORLD.joint.shape == (N_INPUTS, N_CLASSES)
    assert WORLD.joint.sum() == pytest.approx(1)
    assert (WORLD.joint > 0).all()
    prior = WORLD.joint.sum(0)
    assert prior[0] > 3 * prior[-1]
    np.testing.assert_allclose(WORLD.trained.sum(1), 1)


def test_without_hyperparameters_the_model_is_what_was_trained():
    (losses,) = WORLD.losses(np.zeros((1, 4)))
    for x, y in ((0, 0), (5, 3)):
        wrong = WORLD.trained[x] - np.eye(N_CLASSES)[y]
        assert losses[x, y] == pytest.approx(wrong @ wrong / 2)


@pytest.mark.parametrize("dimension", [1, 2, 8])
def test_losses_lie_between_0_and_1_and_every_hyperparameter_changes_them(dimension):
    alpha = np.vstack([np.zeros(dimension), np.eye(dimension)])
    losses = WORLD.losses(alpha)
    assert 0 <= losses.min() <= losses.max() <= 1
    assert (np.abs(losses[1:] - losses[0]).max(axis=(1, 2)) > 0.01).all()


def test_the_first_hyperparameter_favours_one_end_of_the_ranks():
    losses = WORLD.losses(np.array([[0.0], [1.0]]))
    # l larger on frequent classes makes their scores smaller
    change = (losses[1] - losses[0]).mean(0)
    assert change[0] > 0 > change[-1]


def test_validation_sets_are_frequencies_about_the_probabilities():
    random = np.random.default_rng(0)
    drawn = WORLD.validation_sets(1000, 300, random)
    np.testing.assert_allclose(drawn.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(drawn * 1000, np.round(drawn * 1000))
    error = np.sqrt(WORLD.joint / 300_000)
    assert (np.abs(drawn.mean(0) - WORLD.joint) < 5 * error + 1e-4).all()


@pytest.mark.parametrize("dimension", [1, 2, 8])
def test_the_cover_fills_the_ball(dimension):
    cover = ball_cover(dimension, 1024)
    lengths = np.linalg.norm(cover, axis=1)
    assert lengths.max() <= 1
    # as many within any radius as its share of the volume
    for radius in (0.5, 0.8, 0.95):
        assert (lengths < radius).mean() == pytest.approx(radius**dimension, abs=0.01)
    np.testing.assert_allclose(cover.mean(0), 0, atol=0.03)


@pytest.mark.parametrize("objectives", [1, 2, 4, 8])
def test_blocks_are_even(objectives):
    blocks = class_blocks(objectives)
    assert list(np.bincount(blocks)) == [N_CLASSES // objectives] * objectives
    assert (np.diff(blocks) >= 0).all()
