"""Reliability curves and the calibration error, against scikit-learn and a loop."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from autobalance.calibration import weight_for
from autobalance.reliability import (
    class_reliability_curve,
    expected_calibration_error,
    reliability_by_part,
    reliability_curve,
)

RNG = np.random.default_rng(0)
P = RNG.dirichlet([2.0, 1.0, 0.5], 1500)
Y = (P.cumsum(axis=1) < RNG.random((1500, 1))).sum(axis=1).clip(0, 2)


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_the_curve_is_scikit_learns(bins):
    right = P.argmax(axis=1) == Y
    accuracy, confidence = calibration_curve(right, P.max(axis=1), n_bins=bins, strategy="quantile")
    curve = reliability_curve(P, Y, bins=bins)
    np.testing.assert_allclose(curve.confidence, confidence, rtol=1e-12)
    np.testing.assert_allclose(curve.accuracy, accuracy, rtol=1e-12)
    np.testing.assert_allclose(curve.weight, 1 / bins, rtol=1e-12)
    expected = np.abs(accuracy - confidence).mean()
    assert expected_calibration_error(P, Y, bins=bins) == pytest.approx(expected, rel=1e-12)


def test_weighted_bins_hold_equal_weight():
    """By hand: walk through the examples by confidence, bin by the weight passed so far."""
    weight = weight_for(np.full(3, 1 / 3), Y, RNG.uniform(1, 2, len(Y)))
    assert weight.sum() == pytest.approx(1.0)
    passed, bins = 0.0, {}
    for i in np.argsort(P.max(axis=1)):
        number = int(10 * (passed + weight[i] / 2))
        total, sure, right = bins.get(number, (0.0, 0.0, 0.0))
        hit = weight[i] * (P[i].argmax() == Y[i])
        bins[number] = (total + weight[i], sure + weight[i] * P[i].max(), right + hit)
        passed += weight[i]
    curve = reliability_curve(P, Y, 7.0 * weight, bins=10)
    found = np.column_stack([curve.weight, curve.weight * curve.confidence])
    np.testing.assert_allclose(found, [each[:2] for each in bins.values()], rtol=1e-9)
    np.testing.assert_allclose(
        curve.weight * curve.accuracy, [each[2] for each in bins.values()], rtol=1e-9
    )
    np.testing.assert_allclose(curve.weight, 0.1, atol=weight.max())


def test_a_weight_is_a_number_of_copies():
    times = RNG.integers(1, 4, len(Y))
    copies = np.repeat(np.arange(len(Y)), times)
    assert expected_calibration_error(P, Y, times.astype(float)) == pytest.approx(
        expected_calibration_error(P[copies], Y[copies]), rel=1e-12
    )


def test_the_order_of_examples_does_not_matter():
    order = RNG.permutation(len(Y))
    p = np.round(P, 2)  # many ties
    assert expected_calibration_error(p[order], Y[order]) == pytest.approx(
        expected_calibration_error(p, Y), rel=1e-12
    )


def test_equal_confidences_share_a_bin():
    p, y = np.tile([0.8, 0.2], (100, 1)), np.repeat([0, 1], [70, 30])
    curve = reliability_curve(p, y)
    assert (len(curve.weight), curve.weight[0]) == (1, 1.0)
    assert curve.expected_calibration_error == pytest.approx(0.1)


def test_true_probabilities_have_a_small_error_and_boasting_ones_a_large_one():
    boasting = P**3 / (P**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(P, Y) < 0.4 * np.sqrt(15 / len(Y))
    assert expected_calibration_error(boasting, Y) > 0.15


def test_the_curve_in_json():
    document = reliability_curve(P, Y, bins=4).to_json()
    assert set(document) == {"ece", "bins"}
    assert len(document["bins"]) == 4
    assert document["ece"] == pytest.approx(
        sum(b["weight"] * abs(b["accuracy"] - b["confidence"]) for b in document["bins"])
    )
    assert all(type(value) is float for b in document["bins"] for value in b.values())


def test_a_curve_of_one_class_has_bins_that_expect_the_same_number_of_it():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([8.0, 2.0, 0.2], 20_000)
    y = (p.cumsum(axis=1) < rng.random(len(p))[:, None]).sum(axis=1)
    curve = class_reliability_curve(p, y, 2)
    expected = curve.confidence * curve.weight
    np.testing.assert_allclose(expected, expected.mean(), rtol=0.02)
    np.testing.assert_allclose(curve.accuracy, curve.confidence, atol=0.06)
    assert curve.expected_calibration_error < 0.01
    boasting = np.sqrt(p)
    assert class_reliability_curve(boasting, y, 2).expected_calibration_error > 0.05
    assert curve.accuracy @ curve.weight == pytest.approx((y == 2).mean())


def test_a_weight_is_a_number_of_copies_for_one_class_too():
    rng = np.random.default_rng(1)
    p, y, copies = (
        rng.dirichlet(np.ones(3), 200),
        rng.integers(3, size=200),
        rng.integers(1, 4, 200),
    )
    weighted = class_reliability_curve(p, y, 1, copies.astype(float))
    repeated = class_reliability_curve(p.repeat(copies, axis=0), y.repeat(copies), 1)
    np.testing.assert_allclose(weighted.accuracy, repeated.accuracy)
    np.testing.assert_allclose(weighted.confidence, repeated.confidence)


def test_parts_are_curves_of_classes_and_of_groups():
    g = RNG.integers(2, size=len(Y))
    weight = np.where(g == 1, 0.0, 1.0)
    parts = reliability_by_part({"raw": P}, Y, g, weight, 2)
    assert parts["groups"][1] is None
    first = reliability_curve(P[g == 0], Y[g == 0]).to_json()
    assert parts["groups"][0] == {"raw": first}
    assert parts["classes"][2] == {"raw": class_reliability_curve(P, Y, 2, weight).to_json()}
    assert reliability_by_part({"raw": P}, Y, g, weight, None)["groups"] is None
