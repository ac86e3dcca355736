"""Corrections against Bayes' rule, against other libraries, and against what leaves them alone."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from autobalance import ArtifactError, Counts, DataError, Objective, ObjectiveError
from autobalance.evaluation import cell_errors
from autobalance.posthoc import PosthocCorrection, logit_adjustment_bias
from autobalance.posthoc.fits import held_out_risk

NAMES = np.array(["a", "b", "c"])


def truth(classes=3):
    """Slopes and biases (K, G) of the probabilities by which the examples are drawn."""
    slope = np.stack([np.geomspace(0.4, 1.6, classes), np.geomspace(0.8, 1.6, classes)], axis=1)
    bias = np.stack([np.linspace(0, 3, classes), np.linspace(0, -3, classes)], axis=1)
    return slope, bias - bias.mean(axis=0)


def examples(rows=3000, classes=3, seed=0):
    """Logits, classes drawn by what the true correction makes of them, and groups."""
    rng = np.random.default_rng(seed)
    slope, bias = truth(classes)
    logits, g = 2.5 * rng.normal(size=(rows, classes)), rng.integers(2, size=rows)
    p = softmax(slope[:, g].T * log_softmax(logits, axis=1) + bias[:, g].T, axis=1)
    y = (p.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1)
    return logits, y, g


def test_prior_correction_restores_bayes_rule_after_a_label_shift():
    """Two Gaussians: the true posterior under any shares is known in closed form."""
    rng = np.random.default_rng(0)
    train, target = np.array([0.9, 0.1]), np.array([0.3, 0.7])
    y = rng.choice(2, 200_000, p=target)
    x = rng.normal(2.0 * y)
    density = norm.pdf(x[:, None], [0.0, 2.0])
    logits = np.log(density * train) + rng.normal(size=(len(x), 1))  # of a model of the old world
    correction = PosthocCorrection.for_prior(Counts(1000 * train[:, None], (0, 1)), target)
    posterior = density * target / (density * target).sum(1, keepdims=True)
    np.testing.assert_allclose(correction.predict_proba(logits), posterior, rtol=1e-9)
    error = (correction.predict(logits) != y).mean()
    threshold = 1 + np.log(target[0] / target[1]) / 2
    optimum = target[0] * norm.sf(threshold) + target[1] * norm.cdf(threshold - 2)
    assert error == pytest.approx(optimum, abs=0.002)
    assert (logits.argmax(1) != y).mean() > optimum + 0.1


def test_the_prior_of_each_group_is_bayes_rule_within_it():
    rng = np.random.default_rng(1)
    train = rng.dirichlet(np.ones(3), 2).T
    target = rng.dirichlet(np.ones(3), 2).T
    density = rng.dirichlet(np.ones(3), 50)
    g = rng.integers(2, size=50)
    logits = np.log(density * train[:, g].T)
    correction = PosthocCorrection.for_prior(
        Counts(train * [[400.0, 600.0]], ("a", "b", "c"), ("x", "y")), target
    )
    p = correction.predict_proba(logits, np.array(["x", "y"])[g])
    joint = density * target[:, g].T
    np.testing.assert_allclose(p, joint / joint.sum(1, keepdims=True), rtol=1e-10)


def test_a_balanced_prior_is_logit_adjustment_post_hoc():
    counts = Counts(np.array([[80.0], [15.0], [5.0]]), (0, 1, 2))
    correction = PosthocCorrection.for_prior(counts)
    np.testing.assert_allclose(correction.bias[:, 0], logit_adjustment_bias(counts), atol=1e-12)
    same = PosthocCorrection.for_prior(counts, counts.values[:, 0])
    np.testing.assert_allclose(same.bias, 0, atol=1e-12)


def test_calibration_of_two_classes_is_scikit_learns_logistic_regression():
    """softmax(a ⊙ φ + b) of two classes is a logistic regression on φ₁ and −φ₀ (beta calibration).

    The penalty weighs as much as about one of 200,000 observations.
    """
    logits, y, _ = examples(200_000, classes=2)
    correction = PosthocCorrection.tuned(logits, y, objective="calibration")
    phi = log_softmax(logits, axis=1)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    oracle.fit(np.column_stack([phi[:, 1], -phi[:, 0]]), y)
    np.testing.assert_allclose(correction.slope[::-1, 0], oracle.coef_[0], rtol=2e-3)
    shift = correction.bias[1, 0] - correction.bias[0, 0]
    assert shift == pytest.approx(oracle.intercept_[0], abs=2e-3)


def test_calibration_by_group_finds_the_truth():
    logits, y, g = examples(100_000)
    found = PosthocCorrection.tuned(logits, y, g, objective="calibration", by_group=True)
    slope, bias = truth()
    np.testing.assert_allclose(found.slope, slope, atol=0.08)
    np.testing.assert_allclose(found.bias - found.bias.mean(axis=0), bias, atol=0.08)


def test_calibration_by_group_is_that_of_each_group_alone():
    logits, y, g = examples()
    both = PosthocCorrection.tuned(logits, y, g, objective="calibration", by_group=True)
    for j in range(2):
        alone = PosthocCorrection.tuned(logits[g == j], y[g == j], objective="calibration")
        np.testing.assert_allclose(both.slope[:, j], alone.slope[:, 0])
        np.testing.assert_allclose(
            both.predict_proba(logits[g == j], g[g == j]), alone.predict_proba(logits[g == j])
        )


@pytest.mark.parametrize("objective", ["balanced", "group-balanced", "worst-group"])
def test_each_freedom_lowers_the_held_out_objective_and_groups_the_error_of_new_examples(objective):
    logits, y, g = examples()
    counts = Counts.from_codes(y, g, (0, 1, 2), (0, 1))
    bound = Objective.parse(objective).bind(counts)
    held_out = held_out_risk(bound, y, g, counts)
    fresh, fresh_y, fresh_g = examples(10_000, seed=1)

    def error(predicted):
        return bound.error(cell_errors(fresh_y, predicted, fresh_g, 3, 2), counts.frequencies)

    values, errors = [float(held_out(torch.from_numpy(logits)).total)], []
    for options in ({"kind": "bias"}, {}, {"by_group": True}):
        found = PosthocCorrection.tuned(logits, y, g, objective=objective, **options)
        corrected = found.logits(logits, g if found.by_group else None)
        values.append(float(held_out(torch.from_numpy(corrected)).total))
        errors.append(error(found.predict(fresh, fresh_g if found.by_group else None)))
    assert (np.diff(values) < 0).all()
    assert errors[-1] < error(fresh.argmax(1)) - 0.03


def test_what_changes_no_probability_changes_nothing():
    logits, y, g = examples(600)
    shifted = logits + np.random.default_rng(2).normal(size=(len(logits), 1))
    for options in ({}, {"by_group": True}, {"objective": "calibration"}):
        one = PosthocCorrection.tuned(logits, y, g, **options)
        other = PosthocCorrection.tuned(np.log(softmax(shifted, axis=1)), y, g, **options)
        groups = g if one.by_group else None
        np.testing.assert_allclose(
            one.predict_proba(logits, groups), other.predict_proba(shifted, groups), atol=1e-3
        )


def test_the_order_of_the_classes_plays_no_part():
    logits, y, _ = examples(600)
    order = [2, 0, 1]
    one = PosthocCorrection.tuned(logits, NAMES[y])
    other = PosthocCorrection.tuned(logits[:, order], NAMES[y], classes=NAMES[order])
    np.testing.assert_allclose(
        one.predict_proba(logits)[:, order], other.predict_proba(logits[:, order]), atol=1e-3
    )
    assert (one.predict(logits) == other.predict(logits[:, order])).mean() > 0.995


def test_a_bias_has_one_slope_and_probabilities_of_calibrated_scale():
    logits, y, _ = examples()
    correction = PosthocCorrection.tuned(10 * logits, y, kind="bias")
    assert np.ptp(correction.slope) == 0
    once = PosthocCorrection.tuned(logits, y, kind="bias")
    np.testing.assert_allclose(10 * correction.slope, once.slope, rtol=1e-3)


@pytest.mark.parametrize("by_group", [False, True])
def test_it_is_saved_and_read_back_exactly(by_group, tmp_path):
    logits, y, g = examples(300)
    correction = PosthocCorrection.tuned(logits, NAMES[y], g, by_group=by_group)
    correction.save(tmp_path / "posthoc.json")
    back = PosthocCorrection.load(tmp_path / "posthoc.json")
    assert back.counts == correction.counts
    assert back.metadata == correction.metadata
    groups = g if by_group else None
    np.testing.assert_array_equal(back.logits(logits, groups), correction.logits(logits, groups))
    assert set(back.predict(logits, groups)) <= set(NAMES)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text.replace('"slope"', '"slop"'), "is damaged"),
        (lambda text: text.replace('"version": 1', '"version": 9'), "upgrade it"),
        (lambda text: text[:40], "not valid JSON"),
        (lambda text: text.replace("0.", f"{10**400}.0"[:-2] + ", 0.", 1), "is damaged"),
    ],
)
def test_a_damaged_file_is_refused(damage, words, tmp_path):
    path = tmp_path / "posthoc.json"
    PosthocCorrection.for_prior(Counts(np.ones((2, 1)), (0, 1))).save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ArtifactError, match=words):
        PosthocCorrection.load(path)
    with pytest.raises(ArtifactError, match="cannot read"):
        PosthocCorrection.load(tmp_path / "none.json")


def test_groups_are_needed_exactly_where_they_decide():
    logits, y, g = examples(300)
    of_groups = PosthocCorrection.tuned(logits, y, g, by_group=True)
    with pytest.raises(DataError, match="needs the group of every row"):
        of_groups.predict(logits)
    with pytest.raises(DataError, match="the group '7' is none of 0, 1"):
        of_groups.predict(logits, np.full(300, 7))
    with pytest.raises(DataError, match="300 rows of logits but 2 groups"):
        of_groups.predict(logits, g[:2])
    plain = PosthocCorrection.tuned(logits, y, g)
    with pytest.raises(DataError, match="leave the groups out"):
        plain.predict(logits, g)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "matrix"}, "use 'vector-scaling' or 'bias'"),
        ({"by_group": True}, "a correction by group needs groups"),
        ({"objective": "calibration", "kind": "bias"}, "fits slopes"),
        ({"classes": (0, 1)}, "each of the 2 classes"),
        ({"classes": (0, 1, 5)}, "is none of 0, 1, 5"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    logits, y, _ = examples(100)
    with pytest.raises(DataError, match=words):
        PosthocCorrection.tuned(logits, y, **options)


def test_logits_and_objectives_that_cannot_be_used_are_refused():
    logits, y, _ = examples(100)
    with pytest.raises(DataError, match="row 3 are not finite"):
        PosthocCorrection.tuned(np.where(np.arange(100)[:, None] == 3, np.inf, logits), y)
    with pytest.raises(DataError, match="100 rows of logits but 99 labels"):
        PosthocCorrection.tuned(logits, y[:99])
    with pytest.raises(ObjectiveError, match="compares groups"):
        PosthocCorrection.tuned(logits, y, objective="equalized-odds")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ([1.0, 0.0], "a share of the target is 0"),
        ("even", "neither"),
        ([1.0, 2.0, 3.0], "neither"),
        (np.ones((2, 3)), "3 columns"),
    ],
)
def test_targets_that_are_no_shares_are_refused(target, words):
    with pytest.raises(DataError, match=words):
        PosthocCorrection.for_prior(Counts(np.ones((2, 1)), (0, 1)), target)


def test_values_that_correct_nothing_sensible_are_refused():
    counts = Counts(np.ones((2, 1)), (0, 1))
    with pytest.raises(DataError, match="slope is not positive"):
        PosthocCorrection(counts, np.array([[1.0], [-1.0]]), np.zeros((2, 1)))
    with pytest.raises(DataError, match="bias has shape"):
        PosthocCorrection(counts, np.ones((2, 1)), np.full((2, 1), np.nan))
