"""On a convex head the search beside training ends where the exact search does."""

import pytest

from benchmarks.online_exact import CASES, LEAST_COSINE, MOST_EXCESS, compare


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("objective", "parameters"), CASES)
def test_both_searches_end_at_the_same_loss(objective, parameters, seed):
    exact, online = compare(objective, parameters, seed)
    assert exact["objective"] < 0.98 * exact["start"]
    assert abs(online["excess"]) < MOST_EXCESS
    assert online["cosine"] > LEAST_COSINE
    assert online["ridge_ratio"] == pytest.approx(1, abs=0.05)
