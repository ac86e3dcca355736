import numpy as np
import pytest
from scipy.stats import binom, binomtest

from autobalance.bootstrap import (
    draw_cell_means,
    error_intervals,
    pivotal_estimate,
    resample_within_cells,
)


def test_every_replicate_holds_as_many_examples_of_a_cell_as_the_cell() -> None:
    cell = np.array([2, 0, 0, 2, 2, 0, 0])
    outcome = np.array([5, 1, 0, 5, 7, 1, 1])
    drawn = {each.cell: each for each in resample_within_cells(cell, outcome, np.ones(7), 50, 0)}
    assert sorted(drawn) == [0, 2]
    assert (drawn[0].times.sum(axis=1) == 4).all()
    assert (drawn[2].times.sum(axis=1) == 3).all()
    assert drawn[2].outcome.tolist() == [5, 7]


def test_examples_without_weight_are_never_drawn() -> None:
    weight = np.array([1.0, 0.0, 2.0])
    (drawn,) = resample_within_cells(np.zeros(3, int), np.arange(3), weight, 20, 0)
    assert drawn.outcome.tolist() == [0, 2]


def test_replicates_of_an_unweighted_cell_are_binomial() -> None:
    wrong = np.array([[True] * 6 + [False] * 14])
    draws = draw_cell_means(wrong, np.zeros(20, int), 1, np.ones(20), 20_000, 1)[0, :, 0]
    for errors in (3, 6, 9):
        expected = binom.cdf(errors, 20, 0.3)
        assert np.mean(draws <= (errors + 0.5) / 20) == pytest.approx(expected, abs=0.012)


def test_replicates_match_resampling_of_indices_with_weights_and_two_methods() -> None:
    rng = np.random.default_rng(3)
    wrong, weight = rng.random((2, 30)) < 0.4, rng.random(30)
    draws = draw_cell_means(wrong, np.zeros(30, int), 1, weight, 20_000, 0)[:, :, 0]
    picks = rng.integers(30, size=(20_000, 30))
    by_index = (weight[picks] * wrong[:, picks]).sum(-1) / weight[picks].sum(-1)
    np.testing.assert_allclose(draws.mean(axis=1), by_index.mean(axis=1), atol=0.004)
    np.testing.assert_allclose(np.cov(draws), np.cov(by_index), rtol=0.06, atol=3e-4)


def test_methods_share_the_examples_of_a_replicate() -> None:
    wrong = np.random.default_rng(0).random(40) < 0.3
    draws = draw_cell_means(np.stack([wrong, wrong]), np.zeros(40, int), 1, np.ones(40), 100, 0)
    np.testing.assert_array_equal(draws[0], draws[1])


def test_empty_cells_are_nan() -> None:
    draws = draw_cell_means(np.array([[True, False]]), np.array([0, 2]), 3, np.ones(2), 5, 0)
    np.testing.assert_array_equal(np.isnan(draws[0, 0]), [False, True, False])


def test_many_distinct_weights_give_the_same_draws_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = np.random.default_rng(0).random(50)
    arguments = (np.ones((1, 50), bool), np.zeros(50, int), 1, weight, 64)
    whole = draw_cell_means(*arguments)
    monkeypatch.setattr("autobalance.bootstrap._MAX_DRAWS_AT_ONCE", 500)
    np.testing.assert_array_equal(draw_cell_means(*arguments), whole)


def test_pivotal_interval_mirrors_the_percentiles() -> None:
    draws = np.linspace(0.0, 1.0, 1001)
    estimate = pivotal_estimate(0.4, draws, level=0.8)
    assert estimate.interval == pytest.approx([2 * 0.4 - 0.9, 2 * 0.4 - 0.1])
    assert pivotal_estimate(0.4, draws, level=0.8, lowest=0.0).low == 0


def test_interval_holds_its_value_even_where_the_bias_is_larger() -> None:
    estimate = pivotal_estimate(0.4, np.full(10, 0.6))
    assert estimate.low == pytest.approx(0.2)
    assert estimate.high == 0.4


def test_pivotal_interval_covers_the_largest_of_many_cells() -> None:
    """Percentiles cover it in about one run of six (see the docstring)."""
    rng = np.random.default_rng(0)
    error, size, runs = np.linspace(0.1, 0.3, 26), 50, 150
    covered = 0
    for _ in range(runs):
        observed = rng.binomial(size, error) / size
        draws = (rng.binomial(size, observed, size=(400, 26)) / size).max(axis=1)
        estimate = pivotal_estimate(float(observed.max()), draws)
        covered += estimate.low <= error.max() <= estimate.high
    assert covered / runs > 0.88


def test_cells_that_are_all_right_or_all_wrong_get_the_exact_binomial_bound() -> None:
    errors, sizes = np.array([0.0, 1.0, 0.5]), np.array([7.0, 3.0, 10.0])
    draws = np.tile(errors, (20, 1))
    intervals = error_intervals(errors, draws, sizes)
    none = binomtest(0, 7).proportion_ci(0.95)
    every = binomtest(3, 3).proportion_ci(0.95)
    np.testing.assert_allclose(intervals[0], [none.low, none.high])
    np.testing.assert_allclose(intervals[1], [every.low, every.high])
    np.testing.assert_allclose(intervals[2], [0.5, 0.5])
