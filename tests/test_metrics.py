import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from autobalance.bootstrap import resample_within_cells
from autobalance.errors import DataError
from autobalance.metrics import macro_f1, ranking_quality


def scores(size: int, decimals: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positives, scores with ties, and cells (class × two groups)."""
    rng = np.random.default_rng(0)
    positive = rng.random(size) < 0.2
    score = np.round(rng.normal(size=size) + 1.5 * positive, decimals)
    return positive, score, 2 * positive.astype(int) + rng.integers(2, size=size)


def test_macro_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y, weight = rng.integers(5, size=300), rng.random(300)
    predicted = np.where(rng.random(300) < 0.4, rng.integers(7, size=300), y)
    estimate = macro_f1(y, predicted, y, sample_weight=weight, replicates=50)
    expected = f1_score(y, predicted, average="macro", sample_weight=weight, zero_division=0)
    assert estimate.value == pytest.approx(expected)
    assert estimate.low < estimate.value < estimate.high


def test_macro_f1_is_resampled_as_scikit_learn_would_compute_it() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=60)
    predicted = np.where(rng.random(60) < 0.4, rng.integers(3, size=60), y)
    values = []
    draws = list(resample_within_cells(y, y * 3 + predicted, np.ones(60), 40, 5))
    for row in range(40):
        outcome = np.concatenate([np.repeat(each.outcome, each.times[row]) for each in draws])
        values.append(f1_score(outcome // 3, outcome % 3, average="macro"))
    estimate = macro_f1(y, predicted, y, replicates=40, random_state=5, level=0.8)
    low, high = 2 * estimate.value - np.quantile(values, [0.9, 0.1])
    assert estimate.interval == pytest.approx([low, high])


def test_ranking_figures_are_scikit_learns_with_ties_and_weights() -> None:
    positive, score, cell = scores(500, decimals=1)
    weight = np.random.default_rng(1).random(500)
    quality = ranking_quality(positive, score, cell, 0.7, sample_weight=weight, replicates=50)
    area = average_precision_score(positive, score, sample_weight=weight)
    precision, recall, _ = precision_recall_curve(positive, score, sample_weight=weight)
    assert quality.average_precision.value == pytest.approx(area)
    assert quality.recall_at_precision.value == pytest.approx(recall[precision >= 0.7].max())
    assert quality.precision == 0.7


def test_recall_is_zero_where_the_precision_is_never_reached() -> None:
    positive = np.array([False, True, False, False])
    quality = ranking_quality(positive, np.array([4.0, 3, 2, 1]), positive.astype(int), 0.9)
    assert quality.recall_at_precision.value == 0


def test_ranking_interval_matches_resampling_with_scikit_learn() -> None:
    positive, score, cell = scores(400)
    rng = np.random.default_rng(7)
    values = []
    for _ in range(400):
        picks = np.concatenate(
            [
                rng.choice(np.flatnonzero(cell == each), size=(cell == each).sum())
                for each in range(4)
            ]
        )
        values.append(average_precision_score(positive[picks], score[picks]))
    estimate = ranking_quality(positive, score, cell, 0.5).average_precision
    low, high = 2 * estimate.value - np.quantile(values, [0.975, 0.025])
    assert estimate.interval == pytest.approx([low, high], abs=0.02)


def test_large_data_are_resampled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    positive, score, cell = scores(400)
    monkeypatch.setattr("autobalance.metrics._MAX_DRAWN_EXAMPLES", 1)
    few = ranking_quality(positive, score, cell, 0.5)
    assert few == ranking_quality(positive, score, cell, 0.5, replicates=200)


def test_what_cannot_be_ranked_is_refused() -> None:
    positive, score, cell = scores(50)
    with pytest.raises(DataError, match=r"precision is 1\.5"):
        ranking_quality(positive, score, cell, 1.5)
    with pytest.raises(DataError, match="needs positive examples and others"):
        ranking_quality(np.ones(50, bool), score, cell, 0.5)
