"""A correction is fitted on rows other than those it is measured on, and says what it changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from autobalance.data.values import Coded
from autobalance.errors import DataError, ObjectiveError
from autobalance.evaluation import cell_errors
from autobalance.posthoc import PosthocCorrection
from autobalance.runs.posthoc import PosthocRequest, correct
from autobalance.runs.scores import ScoredRows
from autobalance.runs.watch import Watch


def scored_rows(rows=1500, seed=0, split=True):
    """Two groups whose scores are biased in opposite directions."""
    rng = np.random.default_rng(seed)
    logits, g = 2 * rng.normal(size=(rows, 2)), rng.integers(2, size=rows)
    bias = np.array([[1.5, -1.5], [-1.5, 1.5]])[g]
    p = softmax(log_softmax(logits, axis=1) + bias, axis=1)
    y = (rng.random(rows) > p[:, 0]).astype(np.int64)
    names = ("train", "validation", "test")
    parts = {name: np.arange(i, rows, 3) for i, name in enumerate(names)} if split else None
    return ScoredRows(
        "folder/scores.npz",
        logits,
        "logits",
        Coded(y, ("no", "yes")),
        Coded(g, ("land", None)),
        ("place",),
        parts,
    )


def errors(rows, predicted, part):
    return cell_errors(rows.y.codes[part], predicted, rows.g.codes[part], 2, 2)


def test_it_is_fitted_on_validation_and_measured_on_test_rows():
    rows = scored_rows()
    request = PosthocRequest("worst-group", by_group=True)
    finished = correct(rows, request, Watch())
    before, after = finished.metrics["methods"]
    test = rows.parts["test"]
    np.testing.assert_allclose(
        before["cell_errors"], errors(rows, rows.logits[test].argmax(1), test)
    )
    groups = np.array(["land", None], dtype=object)[rows.g.codes[test]]
    corrected = finished.correction.logits(rows.logits[test], groups)
    np.testing.assert_allclose(after["cell_errors"], errors(rows, corrected.argmax(1), test))
    assert after["value"] == np.max(after["cell_errors"]) < before["value"] - 0.1
    difference = finished.metrics["difference"]
    assert difference["value"] == pytest.approx(after["value"] - before["value"])
    assert difference["interval"][1] < 0
    assert finished.metrics["basis"] == "test split"
    assert finished.metrics["rows"] == {"fitted": 500, "measured": 500}
    again = correct(rows, request, Watch())
    assert again.metrics["methods"] == finished.metrics["methods"]


def test_test_rows_change_nothing_in_the_correction():
    rows = scored_rows()
    changed = rows.logits.copy()
    changed[rows.parts["test"]] *= -1
    for kind in ("vector-scaling", "prior"):
        request = PosthocRequest(kind=kind)
        one = correct(rows, request, Watch()).correction
        other = correct(replace(rows, logits=changed), request, Watch()).correction
        np.testing.assert_array_equal(one.bias, other.bias)


def test_without_a_split_every_row_is_measured_without_itself():
    rows = scored_rows(300, split=False)
    noise = replace(rows, logits=np.random.default_rng(1).normal(size=(300, 2)))
    finished = correct(noise, PosthocRequest("error", by_group=True), Watch())
    assert finished.metrics["basis"] == "cross-fitted"
    assert finished.metrics["rows"] == {"fitted": 300, "measured": 300}
    # scores that say nothing: the best that is left is the more frequent class of each group
    groups = np.array(["land", None], dtype=object)[rows.g.codes]
    shown = (
        finished.correction.predict(noise.logits, groups) != np.array(rows.y.labels)[rows.y.codes]
    ).mean()
    counts = np.array(finished.metrics["counts"])
    assert shown <= counts.min(axis=0).sum() / 300
    assert finished.metrics["methods"][1]["value"] >= shown


def test_the_prior_is_that_of_the_training_rows():
    rows = scored_rows()
    finished = correct(rows, PosthocRequest(kind="prior", prior="no=0.3,yes=0.7"), Watch())
    n = np.bincount(rows.y.codes[rows.parts["train"]])
    bias = finished.correction.bias[:, 0]
    assert bias[1] - bias[0] == pytest.approx(np.log(7 / 3) - np.log(n[1] / n[0]))
    assert not finished.correction.by_group


def test_reliability_is_told_for_classes_and_groups():
    rows = scored_rows()
    request = PosthocRequest("calibration", by_group=True)
    reliability = correct(rows, request, Watch()).metrics["reliability"]
    assert len(reliability["classes"]) == len(reliability["groups"]) == 2
    for pair in (reliability["overall"], *reliability["classes"], *reliability["groups"]):
        assert pair["corrected"]["ece"] < pair["raw"]["ece"]
        assert sum(each["weight"] for each in pair["raw"]["bins"]) == pytest.approx(1)


def test_without_groups_there_are_none(tmp_path):
    finished = correct(replace(scored_rows(), g=None, group_columns=()), PosthocRequest(), Watch())
    assert finished.metrics["groups"] is finished.metrics["reliability"]["groups"] is None
    finished.write(tmp_path)
    assert "by place" not in (tmp_path / "report.html").read_text("utf-8")


def test_groups_of_several_columns():
    rows = scored_rows()
    pairs = replace(rows, g=Coded(rows.g.codes, (("land", 1), ("sea", None))))
    for parts in (rows.parts, None):
        finished = correct(replace(pairs, parts=parts), PosthocRequest(by_group=True), Watch())
        assert finished.correction.counts.groups == (("land", 1), ("sea", None))


def test_it_writes_three_files(tmp_path):
    finished = correct(scored_rows(), PosthocRequest(by_group=True), Watch())
    finished.write(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == finished.metrics
    assert PosthocCorrection.load(tmp_path / "posthoc.json").counts == finished.correction.counts
    assert "folder" not in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (PosthocRequest(by_group=True), DataError, "name their column with --group"),
        (PosthocRequest(prior="balanced"), DataError, "--prior is for --kind prior"),
        (PosthocRequest(kind="prior", prior="no=1"), DataError, "no share for 'yes'"),
        (PosthocRequest("equalized-odds"), ObjectiveError, "compares groups"),
        (
            PosthocRequest("0.5*error+0.5*balanced", positive_class="x"),
            ObjectiveError,
            "positive class 'x'",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(request_, error, words):
    rows = replace(scored_rows(90), g=None, group_columns=())
    with pytest.raises(error, match=words):
        correct(rows, request_, Watch())
