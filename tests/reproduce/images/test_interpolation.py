"""Clusters without edges, by hand and against the search space's clusters."""

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.losses.presets import preset
from autobalance.reproduce.images.interpolation import interpolated
from autobalance.space import SearchSpace


def counts_of(*sizes):
    return Counts(np.array(sizes, dtype=float)[:, None], tuple(range(len(sizes))))


def test_values_between_the_centres_by_hand():
    # ranks by size: classes 1, 3, 0 | 5, 2, 6 | 4, so centres at ranks 1, 4 and 6
    counts = counts_of(60, 100, 30, 80, 5, 40, 20)
    cluster = np.array([0, 0, 1, 0, 2, 1, 1])
    additive = np.array([3.0, 0.0, -4.0])[cluster][:, None]
    multiplicative = np.array([1.0, 0.7, 0.9])[cluster][:, None]
    weight = np.linspace(0.5, 1.5, 7)[:, None]
    smooth = interpolated(LossDesign(counts, weight, additive, multiplicative), 3)
    ranked = np.argsort([-60, -100, -30, -80, -5, -40, -20])
    assert smooth.additive[ranked, 0] == pytest.approx([3, 3, 2, 1, 0, -2, -4])
    assert smooth.multiplicative[ranked, 0] == pytest.approx([1, 1, 0.9, 0.8, 0.7, 0.8, 0.9])
    assert smooth.weight.tolist() == weight.tolist()
    assert smooth.counts == counts


def test_classes_of_their_own_and_one_cluster_stay_as_they_are():
    counts = counts_of(9, 9, 5, 7)
    each = preset("vs", counts, gamma=0.2)
    alone = interpolated(each, 1)
    assert alone.additive.tolist() == each.additive.tolist()
    assert alone.multiplicative.tolist() == each.multiplicative.tolist()
    same = preset("cross-entropy", counts)
    assert interpolated(same, 4).additive.tolist() == same.additive.tolist()


@pytest.mark.parametrize("size", [1, 3, 4])
def test_clusters_are_those_that_were_searched(size):
    """In the middle of a cluster of odd size its value stays, ties and the last one included."""
    counts = counts_of(10, 50, 50, 30, 30, 30, 20, 7, 7, 3)
    start = LossDesign(counts, *(np.full((10, 1), value) for value in (1.0, 0.0, 1.0)), 0.1)
    space = SearchSpace.build(start, ("additive",), f"cluster:{size}")
    alpha = np.random.default_rng(0).normal(size=space.dimension)
    found, smooth = space.design(alpha), interpolated(space.design(alpha), size)
    order = np.argsort(-counts.per_class, kind="stable")
    for first in range(0, 10, size):
        cluster = order[first : first + size]
        values = found.additive[cluster, 0]
        assert values.tolist() == [values[0]] * len(cluster)
        if len(cluster) % 2:
            assert smooth.additive[cluster[len(cluster) // 2], 0] == pytest.approx(values[0])
    lowest, highest = found.additive.min(), found.additive.max()
    assert lowest <= smooth.additive.min() <= smooth.additive.max() <= highest
