"""The verdict on simulated data: false claims are rare, and a planted gain is found."""

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.verdict import _CENTRES, null_data, one_run, planted_data

NULL_RUNS = 40
PLANTED_RUNS = 20


def claims(case, runs):
    """In processes of their own, where annotations are not checked: that takes half the time."""
    rows = Parallel(n_jobs=2)(delayed(one_run)(case, seed, folds=3) for seed in range(runs))
    return sum(row["gain"] for row in rows)


def test_logit_adjustment_is_optimal_where_the_null_says_so():
    """The Bayes rule for equal classes is linear; balanced LDA finds it and nothing beats it."""
    data = null_data(0, 200_000)
    bayes = (data.features @ _CENTRES.T - 0.5 * (_CENTRES**2).sum(1)).argmax(1)
    balanced = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(data.features, data.y)
    errors = [
        np.mean([(codes[data.y == k] != k).mean() for k in range(3)])
        for codes in (bayes, balanced.predict(data.features))
    ]
    assert errors[0] == pytest.approx(errors[1], abs=2e-3)


def test_planted_cells_are_equally_frequent():
    data = planted_data(0)
    assert (data.counts.values == len(data) / 4).all()


@pytest.mark.slow
def test_at_most_one_false_claim_in_twenty():
    assert claims("null", NULL_RUNS) <= 0.05 * NULL_RUNS


@pytest.mark.slow
def test_the_verdict_holds_the_line_without_the_start_rule():
    assert claims("null, no start rule", NULL_RUNS) <= 0.05 * NULL_RUNS


@pytest.mark.slow
def test_nine_planted_gains_in_ten_are_found():
    assert claims("planted", PLANTED_RUNS) >= 0.9 * PLANTED_RUNS
