"""The page about a correction: what it says, for whom, and when it cannot be made."""

import copy

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.errors import ArtifactError
from autobalance.posthoc import PosthocCorrection
from autobalance.report.posthoc import AFTER, BEFORE, render_posthoc


def curve(ece):
    bins = [{"confidence": 0.6, "accuracy": 0.6 - ece, "weight": 1.0}]
    return {"ece": ece, "bins": bins}


def pair(raw=0.2, corrected=0.05):
    return {"raw": curve(raw), "corrected": curve(corrected)}


def metrics_of(classes, groups=("land", "<sea>"), **changes):
    K, G = len(classes), 1 if groups is None else len(groups)

    def method(name, value):
        return {
            "name": name,
            "value": value,
            "interval": [value - 0.05, value + 0.05],
            "cell_errors": np.full((K, G), value).tolist(),
            "cell_intervals": np.tile([value - 0.05, value + 0.05], (K, G, 1)).tolist(),
            "class_errors": [value] * K,
            "class_intervals": [[value - 0.05, value + 0.05]] * K,
            "summary": {"error": value, "balanced": value},
        }

    return {
        "format": "autobalance-posthoc-metrics",
        "version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "source": "scores.npz",
        "scores": "logits",
        "objective": "balanced",
        "asked": "balanced",
        "kind": "vector-scaling",
        "by_group": groups is not None,
        "group_columns": [] if groups is None else ["place"],
        "basis": "test split",
        "rows": {"fitted": 1000, "measured": 2000},
        "classes": list(classes),
        "groups": None if groups is None else list(groups),
        "counts": np.full((K, G), 10.0).tolist(),
        "kept": AFTER,
        "methods": [method(BEFORE, 0.3), method(AFTER, 0.2)],
        "difference": {"value": -0.1, "interval": [-0.12, -0.08]},
        "reliability": {
            "overall": pair(),
            "classes": [pair(0.01 * k) for k in range(K)],
            "groups": None if groups is None else [pair(), None],
        },
        "versions": {"autobalance": "0.1.0"},
        "seconds": 1.0,
        **changes,
    }


def correction_of(metrics):
    groups = metrics["groups"]
    counts = Counts(
        np.array(metrics["counts"]),
        tuple(metrics["classes"]),
        None if groups is None else tuple(groups),
    )
    slope = np.ones_like(counts.values)
    slope[0] = 2.0
    return PosthocCorrection(counts, slope, 0 * slope)


def page(metrics):
    return render_posthoc(metrics, correction_of(metrics))


def test_it_tells_before_and_after_with_intervals():
    text = page(metrics_of(("no", "yes")))
    assert "Balanced error 30.0%\u00a0→\u00a020.0% with vector scaling" in text
    assert "−10.0 points (95% interval −12.0 to −8.0)" in text
    assert "the correction lowers it" in text
    assert "2,000 test rows, which the correction was not fitted on" in text
    assert "needs the group of every row" in text
    assert "off by <b>20.0 points</b>" in text
    assert "The rarer class against the other" in text
    assert "Predictions by place" in text
    assert "<sea>" not in text
    assert "examples measured" in text
    assert "With corrected scores, 4 of 4 have a lower error than with original scores" in text
    assert ">Corrected scores<" in text


@pytest.mark.parametrize(
    ("interval", "words"),
    [([0.01, 0.05], "raises it"), ([-0.05, 0.01], "do not tell the two apart")],
)
def test_it_says_what_the_interval_says(interval, words):
    text = page(metrics_of(("no", "yes"), difference={"value": 0.0, "interval": interval}))
    assert words in text


def test_calibration_is_told_by_probabilities():
    text = page(metrics_of(("no", "yes"), asked="calibration", objective="error"))
    assert "Stated probabilities off by 20.0 points\u00a0→\u00a05.0 points" in text
    assert "Error: −10.0 points" in text
    assert 'id="trade-off"' not in text


def test_many_classes_have_diagrams_of_the_worst_alone():
    metrics = metrics_of(tuple(f"class {i}" for i in range(60)), None)
    text = page(metrics)
    assert "51 more are in the table" in text
    assert "Table of all 60" in text
    assert "by place" not in text
    assert "all rows alike" in text


def test_the_same_inputs_give_the_same_page():
    metrics = metrics_of(("no", "yes"))
    assert page(metrics) == page(copy.deepcopy(metrics))


def test_damaged_metrics_are_refused():
    metrics = metrics_of(("no", "yes"))
    correction = correction_of(metrics)
    del metrics["difference"]
    with pytest.raises(ArtifactError, match="make the correction again"):
        render_posthoc(metrics, correction)
