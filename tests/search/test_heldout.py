"""The held-out objective: cell means, the profiled temperature, and derivatives through both."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.objectives import OBJECTIVES, Objective
from autobalance.search.heldout import HELD_OUT_LOSSES, HeldOutRisk

RNG = np.random.default_rng(0)
Y = np.concatenate([np.repeat([0, 1, 2], 2), RNG.choice(3, 60, p=[0.6, 0.3, 0.1])])
G = np.concatenate([np.tile([0, 1], 3), RNG.integers(2, size=60)])
WEIGHT = RNG.uniform(0.5, 2.0, 66)
LOGITS = RNG.normal(size=(66, 3)) + 1.5 * np.eye(3)[Y]
COUNTS = Counts.from_codes(Y, G, (0, 1, 2), (0, 1), WEIGHT)


def held_out(objective="balanced", weight=WEIGHT, sharpness=20.0, **options):
    bound = Objective.parse(objective, 2).bind(COUNTS)
    arguments = (torch.from_numpy(a) for a in (Y, G, weight))
    return HeldOutRisk(*arguments, bound, sharpness=sharpness, **options)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def cells_by_hand(scale=1.0):
    """Weighted mean cross-entropy of every cell, with scikit-learn."""
    q = torch.softmax(scale * tensor(LOGITS), 1).numpy()
    risks = np.empty((3, 2))
    for k, j in np.ndindex(3, 2):
        cell = (k == Y) & (j == G)
        risks[k, j] = log_loss(Y[cell], q[cell], sample_weight=WEIGHT[cell], labels=[0, 1, 2])
    return risks


def test_without_a_temperature_risks_are_plain_cell_means():
    value = held_out("group-balanced", profile_temperature=False)(tensor(LOGITS))
    np.testing.assert_allclose(value.risks, cells_by_hand(), rtol=1e-12)
    assert float(value.objective) == pytest.approx(cells_by_hand().mean(), rel=1e-12)
    assert float(value.total) == float(value.objective)
    assert value.temperature == 1.0


def test_the_smooth_error_is_one_minus_the_sharpened_probability():
    """Between the loss of a classifier that draws its answer and the error of the one it is."""
    risk = held_out("group-balanced", profile_temperature=False, loss="error")
    p = torch.softmax(2 * tensor(LOGITS), 1).numpy()[np.arange(len(Y)), Y]
    np.testing.assert_allclose(risk.example_losses(tensor(LOGITS)), 1 - p, rtol=1e-12)
    certain = 1e6 * tensor(LOGITS)
    wrong = (LOGITS.argmax(1) != Y).astype(float)
    np.testing.assert_allclose(risk.example_losses(certain), wrong)
    np.testing.assert_allclose(risk(certain).risks, risk.cell_errors(certain), rtol=1e-12)


def test_the_temperature_is_calibrated_whatever_the_loss():
    by_loss = [held_out("balanced", loss=loss)(tensor(LOGITS)) for loss in HELD_OUT_LOSSES]
    assert by_loss[0].temperature == by_loss[1].temperature != 1.0


def test_an_unknown_loss_is_refused():
    with pytest.raises(DataError, match="'hinge'; use error or cross-entropy"):
        held_out(loss="hinge")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_temperature_is_the_minimiser_of_the_calibrating_cross_entropy(objective):
    risk = held_out(objective)
    weights = risk.objective.calibration_weights(risk.frequencies).numpy()
    best = minimize_scalar(
        lambda log_scale: (weights * cells_by_hand(np.exp(log_scale))).sum(),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    value = risk(tensor(LOGITS))
    assert 1 / value.temperature == pytest.approx(np.exp(best.x), rel=1e-5)
    np.testing.assert_allclose(value.risks, cells_by_hand(1 / value.temperature), rtol=1e-9)


def test_frequencies_and_errors_weigh_examples():
    risk = held_out()
    totals = np.zeros((3, 2))
    np.add.at(totals, (Y, G), WEIGHT)
    np.testing.assert_allclose(risk.frequencies, totals / totals.sum(), rtol=1e-12)
    wrong = np.zeros((3, 2))
    np.add.at(wrong, (Y, G), WEIGHT * (LOGITS.argmax(1) != Y))
    np.testing.assert_allclose(risk.cell_errors(tensor(LOGITS)), wrong / totals, rtol=1e-12)


@pytest.mark.parametrize("profile", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_derivative_agrees_with_finite_differences(objective, profile):
    risk = held_out(objective, profile_temperature=profile)
    logits = tensor(LOGITS).requires_grad_()
    (gradient,) = torch.autograd.grad(risk(logits).total, logits)
    rng = np.random.default_rng(1)
    for direction in (gradient.numpy(), rng.normal(size=LOGITS.shape)):
        shift = 1e-5 * direction / np.linalg.norm(direction)
        ahead, behind = (float(risk(tensor(LOGITS + s * shift)).total) for s in (1, -1))
        expected = (ahead - behind) / 2
        assert float((gradient.numpy() * shift).sum()) == pytest.approx(
            expected, rel=1e-5, abs=1e-12
        )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("factor", [0.05, 0.5, 30.0])
def test_the_scale_of_the_logits_does_not_matter(objective, factor):
    risk = held_out(objective)
    plain, scaled = risk(tensor(LOGITS)), risk(tensor(factor * LOGITS))
    assert float(scaled.objective) == pytest.approx(float(plain.objective), rel=1e-9)
    assert scaled.temperature == pytest.approx(factor * plain.temperature, rel=1e-6)


def test_it_does_matter_without_the_temperature():
    risk = held_out(profile_temperature=False)
    assert float(risk(tensor(3 * LOGITS)).objective) != float(risk(tensor(LOGITS)).objective)


@pytest.mark.parametrize(
    "logits",
    [
        np.zeros((66, 3)),
        np.ones((66, 3)) * np.arange(66)[:, None],  # says the same of every class
        50.0 * np.eye(3)[Y],  # separates: the best scale is infinite
        -LOGITS,  # worse than useless: the best scale is 0
        np.where(np.arange(66)[:, None] < 5, -1e4, 1.0) * np.eye(3)[Y],
        1e-30 * LOGITS,
        1e30 * LOGITS,
    ],
    ids=["zero", "constant", "separating", "reversed", "wild", "tiny", "huge"],
)
@pytest.mark.parametrize("objective", ["balanced", "worst-group", "equalized-odds"])
def test_any_logits_stay_finite(objective, logits):
    logits = tensor(logits).requires_grad_()
    value = held_out(objective)(logits)
    (gradient,) = torch.autograd.grad(value.total, logits)
    assert np.isfinite(value.temperature)
    assert value.total.isfinite()
    assert gradient.isfinite().all()


@given(st.integers(0, 10**6), st.floats(-3, 4), st.floats(0, 3))
def test_no_scale_is_better_than_the_profiled_one(seed, magnitude, spread):
    rng = np.random.default_rng(seed)
    sizes = np.exp(spread * rng.normal(size=(66, 1)) + magnitude)
    logits = tensor(sizes * (rng.normal(size=(66, 3)) + np.eye(3)[Y]))
    profiled, plain = held_out("error"), held_out("error", profile_temperature=False)
    best = profiled(logits)
    for factor in (1e-3, 0.03, 0.3, 0.9, 1.1, 3.0, 30.0, 1e3):
        if 1e-3 <= factor / best.temperature <= 1e3:
            other = plain(logits * factor / best.temperature)
            assert float(best.objective) <= float(other.objective) + 1e-9


def test_variance_is_that_of_the_objectives_estimate():
    ones = np.ones(66)
    assert held_out("error", weight=ones).variance == pytest.approx(1 / 66)
    sizes = np.bincount(Y * 2 + G)
    mean = ((1 / 6) ** 2 / sizes).sum()
    assert held_out("group-balanced", weight=ones).variance == pytest.approx(mean)
    assert held_out("worst-group", weight=ones).variance == pytest.approx(1 / sizes.min())
