"""Suprema against brute force, and the bound against its formula."""

import json
from itertools import product

import numpy as np
import pytest

from autobalance.reproduce.theory import validation
from autobalance.reproduce.theory.validation import (
    DRAWS,
    SIZES,
    blends,
    find,
    hoeffding,
    largest_deviation,
    largest_excess,
)

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(validation, "COVER", 64)


def test_no_blend_has_a_larger_deviation_and_a_corner_has_it():
    differences = RANDOM.normal(size=(3, 5, 4))
    found = largest_deviation(differences)
    corners = np.array(list(product((0, 1), repeat=4)))
    inside = RANDOM.uniform(size=(1000, 4))
    for each, largest in zip(differences, found, strict=True):
        assert np.abs(each @ corners.T).max() == pytest.approx(largest)
        assert np.abs(each @ inside.T).max() <= largest


def test_excess_is_that_of_the_worst_blend():
    measured, population = RANDOM.uniform(size=(2, 6, 3))
    lambdas = RANDOM.uniform(size=(20, 3))
    expected = 0.0
    for blend in lambdas:
        chosen = min(range(6), key=lambda a, blend=blend: measured[a] @ blend)
        best = min(population[a] @ blend for a in range(6))
        expected = max(expected, population[chosen] @ blend - best)
    assert largest_excess(measured, population, lambdas) == pytest.approx(expected)
    assert largest_excess(population, population, lambdas) == 0


def test_blends_are_the_corners_and_points_of_the_cube():
    found = blends(3, RANDOM)
    assert {tuple(row) for row in found[:7]} == set(product((0, 1), repeat=3)) - {(0, 0, 0)}
    assert 0 <= found.min() <= found.max() <= 1
    assert len(found) > 7


def test_hoeffding_s_union_bound_has_the_confidence_it_says():
    for size, limit in zip(SIZES, hoeffding(4), strict=True):
        events = 64 * 2**4
        assert events * 2 * np.exp(-2 * size * limit**2) == pytest.approx(0.05)


@pytest.mark.parametrize(("dimension", "objectives"), [(1, 1), (4, 8)])
def test_the_rate_the_excess_and_the_bound(dimension, objectives):
    finding = find(dimension, objectives, seeds=2)
    assert finding.deviation.shape == finding.excess.shape == (len(SIZES), 2 * DRAWS)
    assert finding.slope == pytest.approx(-0.5, abs=0.1)
    assert 0 <= finding.share <= 1
    assert finding.above_bound == 0
    rows = list(finding.rows())
    assert len(rows) == 2 * len(SIZES)
    assert [row["n"] for row in rows[::2]] == list(SIZES)
    of_seed_1 = finding.deviation[-1, DRAWS:]
    assert rows[-1]["seed"] == 1
    assert rows[-1]["deviation"] == pytest.approx(of_seed_1.mean())
    assert rows[-1]["largest_deviation"] == of_seed_1.max()
    assert max(row["largest_share"] for row in rows) == finding.share
    json.dumps(rows, allow_nan=False)


def test_measured_risks_are_means_over_drawn_examples(monkeypatch):
    monkeypatch.setattr(validation, "SIZES", (4_000_000,))
    finding = find(2, 2, seeds=1)
    assert finding.deviation.max() < 2e-3
    assert finding.excess.max() < 1e-3


def test_draws_are_the_same_each_time_and_differ_by_seed():
    one, again = (find(1, 2, seeds=2).deviation for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one[:, :DRAWS], one[:, DRAWS:])
