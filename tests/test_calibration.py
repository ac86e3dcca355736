"""Probabilities for a stated prior, against Bayes' rule, other solvers and other libraries."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from autobalance import AutoBalanceClassifier
from autobalance.calibration import (
    Calibration,
    Calibrator,
    _fit,
    check_shares,
    design_offset,
    fit_calibration,
    weight_for,
)
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError, DataError
from autobalance.losses.presets import preset
from autobalance.model import JSON_FILE


class Gaussians:
    """Classes of unit variance: the logarithms of their densities are exact balanced logits."""

    def __init__(self, sizes, seed=0, spread=1.0, distance=1.2):
        self.rng = np.random.default_rng(seed)
        self.sizes = np.array(sizes)
        self.shares = self.sizes / self.sizes.sum()
        self.centres = distance * self.rng.normal(size=(len(sizes), max(2, len(sizes) // 3)))
        # what a trained head does to them: another scale, and a shift of every class
        self.scale, self.shift = (
            np.exp(0.3 * self.rng.normal()),
            spread * self.rng.normal(size=len(sizes)),
        )

    def draw(self, sizes=None):
        y = np.repeat(np.arange(len(self.sizes)), self.sizes if sizes is None else sizes)
        x = self.centres[y] + self.rng.normal(size=(len(y), self.centres.shape[1]))
        return x @ self.centres.T - (self.centres**2).sum(1) / 2, y

    def logits(self, densities):
        return (densities - self.shift) / self.scale

    def fit(self):
        densities, y = self.draw()
        offset = np.log(self.shares)
        return fit_calibration(self.logits(densities), y, np.ones(len(y)), self.shares, offset)


@pytest.mark.parametrize(
    ("sizes", "tolerance"), [([30_000, 3_000], 0.01), ([20_000, 6_000, 1_500], 0.015)]
)
def test_exact_logits_give_the_posterior_under_every_prior(sizes, tolerance):
    truth = Gaussians(sizes)
    calibration = truth.fit()
    densities, _ = truth.draw([500] * len(sizes))
    other = np.arange(1.0, len(sizes) + 1)
    for prior, shares in (
        ("train", truth.shares),
        ("balanced", np.full(len(sizes), 1 / len(sizes))),
        (other, other / other.sum()),
    ):
        found = calibration.probabilities(truth.logits(densities), prior)
        expected = softmax(densities + np.log(shares), axis=1)
        assert np.abs(found - expected).mean() < tolerance
        assert np.abs(found - expected).max() < 10 * tolerance


@pytest.mark.parametrize("sizes", [[40, 15], [20, 12, 9]])
def test_the_fit_minimises_what_the_documentation_says(sizes):
    """The objective written out example by example, and a solver without derivatives."""
    truth = Gaussians(sizes, seed=1, distance=0.7)
    densities, y = truth.draw()
    z, K = truth.logits(densities), len(sizes)
    weight = truth.rng.uniform(0.5, 2.0, len(y))
    shares = np.bincount(y, weight) / weight.sum()
    offset = truth.rng.normal(size=K)
    calibration = fit_calibration(z, y, weight, shares, offset)

    def objective(point, prior):
        slope, bias = np.exp(point[:K]), point[K:]
        phi = log_softmax(z + offset + np.log(prior / shares), axis=1)
        value, penalty, mass = 0.0, 0.0, np.zeros(len(y))
        for k in range(K):
            own = weight * (y == k)
            value -= prior[k] * (own @ log_softmax(slope * phi + bias, axis=1)[:, k]) / own.sum()
            penalty += prior[k] ** 2 * (own**2).sum() / own.sum() ** 2
            mass += prior[k] * own / own.sum()
        variance = mass @ phi**2 - (mass @ phi) ** 2
        unequal = slope - variance @ slope / variance.sum()
        centred = bias + unequal * (mass @ phi)
        pull = (centred**2).sum() / 2 + (variance * unequal**2).sum() / 2
        return value + penalty * (pull + (slope - 1 - np.log(slope)).mean())

    for prior, found in (
        (shares, calibration.train),
        (np.full(K, 1 / K), calibration.balanced),
    ):
        other = minimize(
            objective,
            np.zeros(2 * K),
            prior,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 20_000, "adaptive": True},
        )
        np.testing.assert_allclose(np.log(found.slope), other.x[:K], atol=1e-4)
        np.testing.assert_allclose(found.bias, other.x[K:], atol=1e-4)


def test_two_classes_with_many_examples_are_a_logistic_regression():
    """Beta calibration is logistic regression on the two log-probabilities (Kull et al. 2017)."""
    rng = np.random.default_rng(3)
    z = rng.normal([2.0, 0.0], size=(50_000, 2))
    phi = log_softmax(z, axis=1)
    odds = 0.7 * phi[:, 1] - 1.6 * phi[:, 0] + 0.4
    y = (rng.random(len(z)) < 1 / (1 + np.exp(-odds))).astype(int)
    shares = np.bincount(y) / len(y)
    calibrator = fit_calibration(z, y, np.ones(len(y)), shares, np.zeros(2)).train
    regression = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(phi * [-1, 1], y)
    np.testing.assert_allclose(calibrator.slope, regression.coef_[0], atol=2e-3)
    np.testing.assert_allclose(calibrator.slope, [1.6, 0.7], atol=0.1)
    assert np.diff(calibrator.bias)[0] == pytest.approx(regression.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("sizes", [[300, 3], [200] * 5 + [2], [400, 200, 100, 50, 20, 8, 4, 2]])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_shrinkage_does_not_hurt_rare_classes(sizes, spread):
    """On fresh examples, where classes are equally likely, on average over samples."""
    gains = []
    for seed in range(15):
        truth = Gaussians(sizes, seed, spread)
        densities, y = truth.draw()
        z, prior = truth.logits(densities), np.full(len(sizes), 1 / len(sizes))
        shrunk = fit_calibration(z, y, np.ones(len(y)), truth.shares, np.log(truth.shares))
        free = _fit(z, y, weight_for(prior, y, np.ones(len(y))), np.zeros(len(sizes)), 1e-6)
        fresh, target = truth.draw([300] * len(sizes))
        losses = [
            -log_softmax(one(truth.logits(fresh)), axis=1)[np.arange(len(target)), target].mean()
            for one in (free, shrunk.balanced)
        ]
        gains.append(losses[0] - losses[1])
    assert np.mean(gains) > 0


def test_a_class_of_one_example_cannot_move_far_but_one_of_many_can():
    offsets = []
    for rare in (1, 2_000):
        truth = Gaussians([4_000, 4_000, rare], seed=5, spread=0.0)
        densities, y = truth.draw()
        # the head misjudges the last class by two nats
        z = densities - [0.0, 0.0, 2.0]
        fitted = fit_calibration(z, y, np.ones(len(y)), truth.shares, np.log(truth.shares))
        offsets.append(fitted.balanced.bias[2] - fitted.balanced.bias[:2].mean())
    assert abs(offsets[0]) < 1.6
    assert offsets[1] == pytest.approx(2.0, abs=0.2)


def test_many_classes_and_one_that_nobody_validates():
    sizes = [300, 200, 100, 60, 40] + [20] * 20 + [1]
    truth = Gaussians(sizes, seed=6)
    densities, y = truth.draw()
    z = truth.logits(densities)
    kept = y < 25
    calibration = fit_calibration(
        z[kept], y[kept], np.ones(kept.sum()), truth.shares, np.log(truth.shares)
    )
    for prior in ("train", "balanced", truth.shares):
        p = calibration.probabilities(z, prior)
        assert p.shape == (len(y), 26)
        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    assert 0 < calibration.probabilities(z, "balanced")[:, 25].max() < 1


def test_separable_and_useless_logits_give_finite_calibrators():
    y = np.repeat([0, 1, 2], [50, 20, 5])
    shares = np.bincount(y) / len(y)
    separable = fit_calibration(
        20.0 * np.eye(3)[y], y, np.ones(len(y)), shares, np.log(shares)
    ).train
    assert np.isfinite(separable.slope).all()
    assert separable.slope.max() < 10
    useless = fit_calibration(np.zeros((75, 3)), y, np.ones(75), shares, np.zeros(3))
    np.testing.assert_allclose(useless.train.slope, 1.0, rtol=1e-6)
    p = useless.probabilities(np.zeros((1, 3)), "train")
    np.testing.assert_allclose(p[0], shares, atol=0.02)
    backwards = fit_calibration(-10.0 * np.eye(3)[y], y, np.ones(75), shares, np.log(shares))
    assert (backwards.train.slope > 0).all()


def test_the_training_shares_as_a_prior_are_train():
    truth = Gaussians([300, 200, 30], seed=7)
    calibration = truth.fit()
    z = truth.logits(truth.draw()[0])
    for shares in (truth.shares, 530 * truth.shares, list(truth.shares), [300, 200, 30]):
        np.testing.assert_allclose(
            calibration.probabilities(z, shares), calibration.probabilities(z, "train"), rtol=1e-9
        )


def test_a_prior_obeys_bayes_rule():
    truth = Gaussians([300, 200, 30], seed=8)
    calibration = truth.fit()
    z, prior = truth.logits(truth.draw()[0]), np.array([0.2, 0.0, 0.8])
    expected = calibration.probabilities(z, "train") * prior / truth.shares
    expected /= expected.sum(axis=1, keepdims=True)
    found = calibration.probabilities(z, prior)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (found[:, 1] == 0).all()
    only = calibration.probabilities(z, [0, 1, 0])
    np.testing.assert_array_equal(only, np.tile([0.0, 1.0, 0.0], (len(z), 1)))


def test_extreme_logits_and_shares_stay_finite():
    truth = Gaussians([300, 200, 30], seed=9)
    calibration = truth.fit()
    z = np.array([[1e200, 0, -1e200], [-1e4, 1e4, 0], [0, -1e300, 1e300], [800, 0, -800]])
    for prior in ("train", "balanced", [0, 0, 1], [1e-300, 1, 1e300], [1e308, 1e308, 1e308]):
        p = calibration.probabilities(z, prior)
        assert np.isfinite(p).all()
        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    logs = calibration.log_probabilities(z, "train")
    assert np.isfinite(logs).all()
    assert logs[0, 2] < -1e199


def test_repetitions_count_once():
    truth = Gaussians([60, 30, 5], seed=10)
    densities, y = truth.draw()
    z, weight = truth.logits(densities), truth.rng.uniform(1, 2, len(y))
    offset = np.log(truth.shares)
    once = fit_calibration(z, y, weight, truth.shares, offset)
    twice = np.repeat(np.arange(len(y)), 2)
    again = fit_calibration(z[twice], y[twice], weight[twice], truth.shares, offset, row=twice)
    for name in ("train", "balanced"):
        for part in ("shift", "slope", "bias"):
            np.testing.assert_allclose(
                getattr(getattr(again, name), part), getattr(getattr(once, name), part), atol=1e-6
            )


def test_a_post_hoc_bias_changes_no_probability_for_a_prior():
    truth = Gaussians([60, 30, 5], seed=11)
    densities, y = truth.draw()
    z, offset, bias = truth.logits(densities), np.log(truth.shares), np.array([-1.0, 0.3, 2.0])
    plain = fit_calibration(z, y, np.ones(len(y)), truth.shares, offset)
    moved = fit_calibration(z + bias, y, np.ones(len(y)), truth.shares, offset - bias)
    for prior in ("train", "balanced", [1, 2, 3]):
        np.testing.assert_allclose(
            moved.probabilities(z + bias, prior), plain.probabilities(z, prior), atol=1e-8
        )


COUNTS = Counts(np.array([[40.0, 10.0], [20.0, 20.0], [2.0, 8.0]]), ("a", "b", "c"), ("f", "m"))
WITHOUT = Counts(COUNTS.per_class[:, None], ("a", "b", "c"))


@pytest.mark.parametrize(
    ("name", "counts", "follows_shares"),
    [
        ("cross-entropy", WITHOUT, 0.0),
        ("cross-entropy", COUNTS, 0.0),
        ("weighted", WITHOUT, 1.0),
        ("logit-adjustment", WITHOUT, 1.0),
        ("group-balanced", COUNTS, 1.0),
        ("group-la", COUNTS, 1.0),
    ],
)
def test_the_offset_of_a_closed_form_is_what_theory_says(name, counts, follows_shares):
    offset = design_offset(preset(name, counts))
    expected = follows_shares * np.log(counts.per_class)
    np.testing.assert_allclose(offset - offset.mean(), expected - expected.mean(), atol=1e-12)


def test_the_offset_of_a_design_is_that_of_its_population_optimum():
    """Minimise the design's loss on a population where x says nothing: z alone must fit it."""
    rng = np.random.default_rng(12)
    weight, additive = np.exp(rng.normal(size=(3, 1))), rng.normal(size=(3, 1))
    design = LossDesign(WITHOUT, weight, additive, np.ones((3, 1)))
    shares = WITHOUT.per_class / WITHOUT.per_class.sum()

    def loss(z):
        return -(shares * weight[:, 0]) @ log_softmax(z + additive[:, 0])

    optimum = minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(softmax(optimum + design_offset(design)), shares, atol=1e-5)


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("uniform", "'uniform' is unknown; use 'train', 'balanced'"),
        ([0.5, 0.5], "a list of 3 numbers"),
        (0.5, "a list of 3 numbers"),
        ([[0.2, 0.3, 0.5]], "a list of 3 numbers"),
        (["a", "b", "c"], "a list of 3 numbers"),
        ({"a": 1}, "a list of 3 numbers"),
        ([0.0, 0.0, 0.0], "all shares of the prior are 0"),
        ([0.5, 0.6, -0.1], "a share of the prior is -0.1"),
        ([1.0, np.nan, 0.0], "a share of the prior is nan"),
        ([1.0, np.inf, 0.0], "a share of the prior is inf"),
    ],
)
def test_what_is_no_prior_is_refused(prior, said):
    one = Calibrator(np.zeros(3), np.ones(3), np.zeros(3))
    calibration = Calibration(np.array([0.5, 0.3, 0.2]), one, one)
    with pytest.raises(DataError, match=said) as error:
        calibration.probabilities(np.zeros((1, 3)), prior)
    assert "\n" not in str(error.value)


@given(st.lists(st.floats(0, 1e308), min_size=1, max_size=6).filter(any))
def test_shares_are_normalised(values):
    shares = check_shares(values, len(values))
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0).all()


def test_a_state_round_trips_exactly_through_json():
    calibration = Gaussians([50, 20, 4], seed=13).fit()
    state = json.loads(json.dumps(calibration.to_state()))
    again = Calibration.from_state(state, 3)
    z = np.random.default_rng(0).normal(size=(20, 3))
    for prior in ("train", "balanced", [3, 2, 1]):
        np.testing.assert_array_equal(
            again.probabilities(z, prior), calibration.probabilities(z, prior)
        )


@pytest.mark.parametrize(
    ("name", "part", "value"),
    [
        ("train", "slope", [1.0, 1.0]),
        ("train", "slope", [1.0, 0.0, 1.0]),
        ("train", "bias", [1.0, 0.0, None]),
        ("balanced", "bias", "many"),
        ("balanced", "shift", [[0.0, 0.0, 0.0]]),
        ("balanced", None, [1, 2]),
        ("shares", None, [0.5, 0.5]),
        ("shares", None, [0.5, 0.5, 0.0]),
    ],
)
def test_a_damaged_state_is_refused(name, part, value):
    state = Gaussians([50, 20, 4], seed=13).fit().to_state()
    if part is None:
        state[name] = value
    else:
        state[name][part] = value
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_state(state, 3)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(14)
    y = np.repeat([0, 1, 2], [400, 100, 25])
    X = rng.normal(size=(len(y), 4)) + 1.5 * np.eye(3, 4)[y]
    names = np.array(["often", "seldom", "rarely"])[y]
    return X, names, AutoBalanceClassifier(verdict=None, cv=3, random_state=0).fit(X, names)


def test_the_classifier_predicts_for_a_prior(fitted):
    X, names, model = fitted
    assert (model.classes_[model.predict_proba(X).argmax(axis=1)] == model.predict(X)).all()
    shares = np.array([(names == label).mean() for label in model.classes_])
    train = model.predict_proba(X, "train")
    np.testing.assert_allclose(train.mean(axis=0), shares, atol=0.03)
    np.testing.assert_allclose(model.predict_proba(X, shares), train, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X, prior="balanced").sum(axis=1), 1.0)
    with pytest.raises(DataError, match="3 numbers"):
        model.predict_proba(X, [1, 2])


def test_the_classifier_keeps_its_calibration_and_reads_models_without(fitted, tmp_path):
    X, _, model = fitted
    model.save(tmp_path / "model")
    loaded = AutoBalanceClassifier.load(tmp_path / "model")
    for prior in (None, "train", "balanced", [1, 2, 3]):
        np.testing.assert_array_equal(loaded.predict_proba(X, prior), model.predict_proba(X, prior))
    path = tmp_path / "model" / JSON_FILE
    document = json.loads(path.read_text("utf-8"))
    del document["calibration"]
    path.write_text(json.dumps(document), "utf-8")
    older = AutoBalanceClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(older.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ArtifactError, match="fit it again"):
        older.predict_proba(X, "train")
