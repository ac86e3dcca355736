import numpy as np
import pytest

from autobalance.reproduce.theory.margins import cost_sensitive_svm
from autobalance.reproduce.theory.separable import separable_points


@pytest.mark.parametrize("dimension", [2, 7])
def test_a_plane_through_the_origin_separates_the_classes_by_the_gap(dimension):
    data = separable_points(0, dimension, minority=5, majority=20, gap=0.3)
    assert [(data.labels == label).sum() for label in (1, -1)] == [5, 20]
    widest = cost_sensitive_svm(*data, np.ones(25))
    assert widest.distances(*data).min() >= 0.3


def test_seeds_repeat_and_differ():
    first, again, other = (separable_points(seed, 3, 2, 4).points for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_values_of_the_classes():
    data = separable_points(0, 2, minority=1, majority=2)
    np.testing.assert_array_equal(data.by_class((3.0, 5.0)), [3.0, 5.0, 5.0])
