"""The calibration that a run reports, recomputed by other means."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.model_selection import RepeatedStratifiedKFold

from autobalance.calibration import design_offset, fit_calibration
from autobalance.counts import Counts
from autobalance.objectives import Objective
from autobalance.reliability import expected_calibration_error
from autobalance.runs.examples import Examples
from autobalance.runs.reliability import measure_calibration
from autobalance.search.folds import make_folds
from autobalance.search.settings import SearchSettings
from autobalance.workbench import Workbench


def draw(rng, sizes):
    y = np.repeat(np.arange(3), sizes)
    x = rng.normal(size=(len(y), 5)) + 1.3 * np.eye(3, 5)[y]
    return Examples(x, y, np.zeros(len(y), dtype=np.int64))


def make_bench(cv):
    data = draw(np.random.default_rng(0), [240, 90, 30])
    counts = Counts.from_codes(data.y, None, ("a", "b", "c"))
    weight = np.ones(len(data))
    folds = make_folds(cv, data.features, data.y, data.y, data.y, counts, weight, 0)
    bound = Objective.parse("balanced").bind(counts)
    return Workbench(data.features, data.y, data.g, weight, counts, folds, bound, SearchSettings())


@pytest.fixture(scope="module")
def bench():
    return make_bench(3)


@pytest.fixture(scope="module")
def head(bench):
    return bench.calibrated(bench.train_preset("logit-adjustment", "Logit adjustment"))


def reweighted(y, shares):
    return (np.asarray(shares) / np.bincount(y))[y]


SHARES = {"train": np.array([240, 90, 30]) / 360, "balanced": np.full(3, 1 / 3)}


def test_on_test_rows(bench, head):
    test = draw(np.random.default_rng(1), [100, 100, 100])
    entry = measure_calibration(head, bench, test)
    assert (entry["basis"], entry["examples"]) == ("test split", 300)
    raw = softmax(head.model.logits(test.features) / head.model.temperature, axis=1)
    for prior, shares in SHARES.items():
        corrected = head.model.probabilities(test.features, prior)
        for name, p in (("raw", raw), ("corrected", corrected)):
            found = entry["priors"][prior][name]
            expected = expected_calibration_error(p, test.y, reweighted(test.y, shares))
            assert found["ece"] == pytest.approx(expected, rel=1e-9)
            assert sum(each["weight"] for each in found["bins"]) == pytest.approx(1.0)
    assert entry["groups"] is None
    for k, curves in enumerate(entry["classes"]):
        rows = [each["accuracy"] * each["weight"] for each in curves["raw"]["bins"]]
        assert sum(rows) == pytest.approx(SHARES["train"][k])
    curves = entry["priors"]["train"]
    assert curves["corrected"]["ece"] < curves["raw"]["ece"]
    json.dumps(entry, allow_nan=False)


def test_on_folds_each_example_is_measured_by_calibrators_of_the_others(bench, head):
    entry = measure_calibration(head, bench, None)
    assert (entry["basis"], entry["examples"]) == ("held-out folds, cross-fitted", 360)
    z, y, fold = head.held_out_logits, bench.y[bench.folds.row], bench.folds.fold
    for prior, shares in SHARES.items():
        p = np.empty_like(z)
        for f in range(3):
            calibration = fit_calibration(
                z[fold != f],
                y[fold != f],
                np.ones((fold != f).sum()),
                SHARES["train"],
                design_offset(head.design),
            )
            p[fold == f] = calibration.probabilities(z[fold == f], prior)
        expected = expected_calibration_error(p, y, reweighted(y, shares))
        assert entry["priors"][prior]["corrected"]["ece"] == pytest.approx(expected, rel=1e-9)
    assert np.abs(p - head.model.calibration.probabilities(z, prior)).max() > 1e-3


@pytest.mark.parametrize("cv", [0.5, RepeatedStratifiedKFold(n_splits=2, n_repeats=2)])
def test_on_other_held_out_data(cv):
    bench = make_bench(cv)
    head = bench.train_preset("weighted", "Weighted")
    entry = measure_calibration(head, bench, None)
    assert entry["examples"] == (180 if cv == 0.5 else 360)
    for prior in SHARES:
        assert 0 < entry["priors"][prior]["corrected"]["ece"] < 0.2


def test_a_tuned_bias_changes_decisions_and_no_probability_for_a_prior(bench, head):
    tuned = bench.calibrated(bench.add_tuned_bias(head, "Tuned bias"))
    x = draw(np.random.default_rng(2), [30, 30, 30]).features
    assert np.abs(tuned.model.intercept - head.model.intercept).max() > 0.01
    for prior in ("train", "balanced", [1, 2, 3]):
        np.testing.assert_allclose(
            tuned.model.probabilities(x, prior), head.model.probabilities(x, prior), atol=1e-7
        )
