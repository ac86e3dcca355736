"""The distribution is one, and lies where the lemma needs it."""

import numpy as np
import pytest

from autobalance.reproduce.theory.near_tie import BALANCED, STANDARD, near_tie

OBJECTIVES = pytest.mark.parametrize("objective", [STANDARD, BALANCED])


@OBJECTIVES
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("gamma", [1.5, 4.0])
def test_is_a_distribution_whose_two_classes_are_close(objective, upper, gamma):
    epsilon = 0.01
    tie = near_tie(objective, gamma, epsilon, 0.1, 0.06, upper=upper)
    assert tie.mass.sum() == pytest.approx(1)
    np.testing.assert_allclose(tie.likelihood.sum(1), 1)
    assert (tie.likelihood > 0).all()
    scores = (tie.factor * tie.likelihood)[:2]
    assert (scores[:, :2].min(1) > scores[:, 2:].max(1)).all()
    ratio = (1 + epsilon) / (1 - epsilon)
    expected = [ratio, 1 / ratio] if upper else [1 / ratio, ratio]
    np.testing.assert_allclose(scores[:, 0] / scores[:, 1], expected)
    assert tie.first_is_right == (upper, not upper)
    assert scores[0, :2].sum() == pytest.approx(gamma * scores[1, :2].sum())


def test_balanced_factors_are_one_over_the_class_shares():
    tie = near_tie(BALANCED, 2.0, 0.01, 0.1, 0.06, upper=True)
    np.testing.assert_allclose(tie.mass @ tie.likelihood, 1 / tie.factor)
    np.testing.assert_allclose(1 / tie.factor[:2], [0.1, 0.06])


def test_standard_error_needs_two_points_and_no_factor():
    tie = near_tie(STANDARD, 2.0, 0.01, 0.1, 0.06, upper=True)
    assert len(tie.mass) == 2
    np.testing.assert_array_equal(tie.factor, 1)


@OBJECTIVES
def test_weighted_likelihoods_are_those_of_a_reweighted_population(objective):
    tie = near_tie(objective, 2.0, 0.01, 0.1, 0.06, upper=True)
    weight = np.linspace(0.5, 2, len(tie.factor))
    for point, weighted in zip(tie.likelihood, tie.weighted(weight), strict=True):
        products = [w * p for w, p in zip(weight, point, strict=True)]
        np.testing.assert_allclose(weighted, [each / sum(products) for each in products])
