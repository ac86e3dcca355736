"""Copies of examples within balls: every product against the copies written out."""

import numpy as np
import pytest
import torch

from autobalance.errors import SearchError
from autobalance.search.moved_features import Draws, MovedFeatures

COPIES = 4


@pytest.fixture
def moved(small_data):
    """90 examples in several chunks, with radii."""
    features = small_data.draw().features()
    features.chunk_rows = 25 * COPIES
    moved = MovedFeatures(features, Draws(COPIES))
    moved.radius = torch.rand(90, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return moved


def copies_of(moved):
    """All copies, from the scores of unit vectors."""
    width = moved.shape[1]
    units = torch.eye(width, dtype=torch.float64)[None]
    return torch.cat([moved.logits(units, rows)[0].T for rows in moved.chunks])


def test_copies_lie_in_pairs_within_the_balls_of_their_examples(moved):
    copies = copies_of(moved)
    assert copies.shape == moved.shape == (90 * COPIES, 6)
    assert len(moved.chunks) == 4
    assert moved.example.bincount().tolist() == [COPIES] * 90
    assert copies[:, -1].eq(1).all()
    centre = moved.features.values[moved.example]
    way = (copies - centre)[:, :-1]
    assert (way.norm(dim=1) <= moved.radius[moved.example] * (1 + 1e-12)).all()
    assert (way.norm(dim=1) > 0).all()
    for example in range(90):
        own = way[moved.example == example]
        torch.testing.assert_close(own[: COPIES // 2], -own[COPIES // 2 :])


def test_products_are_those_of_the_copies(moved):
    copies = copies_of(moved)
    rng = np.random.default_rng(1)
    theta = torch.from_numpy(rng.normal(size=(2, 3, 6)))
    for rows in moved.chunks:
        x = copies[rows]
        residual = torch.from_numpy(rng.normal(size=(2, 3, len(x))))
        torch.testing.assert_close(moved.logits(theta, rows), theta @ x.T)
        torch.testing.assert_close(moved.pull_back(residual, rows), residual @ x)
        torch.testing.assert_close(moved.pull_back_squares(residual, rows), residual @ x**2)
        expected = torch.einsum("mn,ne,nf->emf", residual[0], x, x)
        torch.testing.assert_close(moved.moments(residual[0], rows), expected)


def test_slopes_are_the_derivative_in_the_radius(moved):
    theta = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 3, 6)))
    before = [moved.logits(theta, rows) for rows in moved.chunks]
    moved.radius = moved.radius + 0.5
    for rows, scores in zip(moved.chunks, before, strict=True):
        expected = scores + 0.5 * moved.slopes(theta, rows)
        torch.testing.assert_close(moved.logits(theta, rows), expected)


def test_draws_are_uniform_in_the_ball_and_follow_the_seed(small_data):
    features = small_data.draw(rows=400, features=3).features()
    first, again, other = (MovedFeatures(features, Draws(16, seed)) for seed in (0, 0, 1))
    for each in (first, again, other):
        each.radius = torch.ones(400, dtype=torch.float64)
    copies = copies_of(first)
    torch.testing.assert_close(copies, copies_of(again), rtol=0, atol=0)
    assert (copies != copies_of(other)).any()
    length = (copies - features.values[first.example])[:, :-1].norm(dim=1)
    # a share r³ of a ball in three dimensions lies within r
    within = (length[:, None] ** 3 <= torch.tensor([0.25, 0.5, 0.75])).double().mean(0)
    torch.testing.assert_close(within, torch.tensor([0.25, 0.5, 0.75]).double(), rtol=0, atol=0.03)


@pytest.mark.parametrize("copies", [0, 1, 7, -2])
def test_copies_come_in_pairs(copies):
    with pytest.raises(SearchError, match="even number"):
        Draws(copies)
