import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from autobalance import workbench
from autobalance.contest.contenders import WITH_GROUPS, WITHOUT_GROUPS
from autobalance.data.tables import Table
from autobalance.errors import AutoBalanceError, DesignError
from autobalance.runs.columns import Columns
from autobalance.runs.evaluate import evaluate_rows
from autobalance.runs.fit import fit_rows
from autobalance.runs.folder import read_design
from autobalance.runs.predict import predict_rows
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch

COLUMNS = Columns("kind", groups=("place",), split="part")
PLAIN = Columns("kind", drop=("part", "place"))
REQUEST = FitRequest(COLUMNS, verdict=None)
"""Without a verdict, which most of these tests are not about and which takes most of the time."""


def fit(frame, request, watch=None):
    rows = request.columns.rows(Table("small.csv", frame, {}))
    return fit_rows(rows, request, watch or Watch())


def kept_of(run):
    """The entry of the method whose model the run folder holds."""
    return next(m for m in run.metrics["methods"] if m["name"] == run.metrics["kept"])


def test_metrics_agree_with_the_predictions(run, run_folder, frame, table_file):
    """Cell errors recomputed with pandas from the predictions of the saved model."""
    predictions = predict_rows(run_folder, table_file, Watch())
    frame = frame.assign(wrong=predictions.prediction.to_numpy() != frame.kind)
    test = frame[frame.part == "test"]
    expected = test.groupby(["kind", "place"]).wrong.mean().unstack()
    ours = kept_of(run)
    assert run.metrics["basis"] == "test split"
    assert (run.metrics["classes"], run.metrics["groups"]) == (["common", "rare"], ["land", "sea"])
    np.testing.assert_allclose(ours["cell_errors"], expected.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours["value"], expected.to_numpy().mean(), rtol=1e-12)
    np.testing.assert_allclose(ours["summary"]["error"], test.wrong.mean(), rtol=1e-12)
    np.testing.assert_allclose(
        ours["summary"]["worst-group"], expected.to_numpy().max(), rtol=1e-12
    )


def test_differences_are_paired_with_ours(run):
    first, *others = run.metrics["methods"]
    assert (first["name"], first["difference"]) == ("AutoBalance", None)
    assert others[0]["name"] == "Cross-entropy"
    for method in others:
        low, high = method["difference"]["interval"]
        gap = method["value"] - first["value"]
        assert method["difference"]["value"] == pytest.approx(gap, abs=1e-12)
        assert low <= gap <= high


def test_all_rivals_take_part(run, frame):
    names = {method["name"] for method in run.metrics["methods"]}
    assert names == {"AutoBalance", "Tuned post-hoc bias", *(form.name for form in WITH_GROUPS)}
    plain = fit(frame, FitRequest(PLAIN, cv=3, verdict=None))
    names = {method["name"] for method in plain.metrics["methods"]}
    assert names == {"AutoBalance", "Tuned post-hoc bias", *(form.name for form in WITHOUT_GROUPS)}
    assert plain.metrics["basis"] == "held-out folds"
    assert plain.metrics["objective"] == "balanced"
    assert plain.metrics["search"]["folds"] == 3


def test_every_file_is_written_and_reads_back(run, run_folder):
    names = sorted(path.name for path in run_folder.iterdir())
    assert names == [
        "design.json",
        "history.csv",
        "metrics.json",
        "model.json",
        "model.safetensors",
        "report.html",
    ]
    assert json.loads((run_folder / "metrics.json").read_text("utf-8")) == run.metrics
    assert read_design(run_folder, run.saved.model) == run.design
    with open(run_folder / "history.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == run.metrics["search"]["evaluations"]
    assert list(rows[0])[:3] == ["evaluation", "seconds", "objective"]
    assert list(rows[0])[-1] == "error[rare|sea]"
    bests = [float(row["best"]) for row in rows]
    assert bests == sorted(bests, reverse=True)
    # the value is that of the design, which may be the start although a lower point was seen
    assert run.metrics["search"]["value"] in [float(row["objective"]) for row in rows]
    page = (run_folder / "report.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert run.metrics["verdict"]["headline"] in page


def test_rows_that_go_ahead_of_the_search_are_counted(frame, monkeypatch):
    assert "scout_rows" not in fit(frame, REQUEST).metrics["search"]
    monkeypatch.setattr(workbench, "_ROWS_OF_A_SCOUT", 10)
    facts = fit(frame, REQUEST).metrics["search"]
    assert 0 < facts["scout_rows"] <= 40
    assert facts["scout_evaluations"] > 0


def test_the_same_seed_gives_the_same_run(run, frame):
    again = fit(frame, replace(REQUEST, verdict=2))
    assert again.metrics["verdict"] == run.metrics["verdict"]
    np.testing.assert_array_equal(again.saved.model.coef, run.saved.model.coef)
    np.testing.assert_array_equal(again.design.weight, run.design.weight)


def test_test_labels_play_no_part(run, frame):
    changed = frame.copy()
    test = changed.part == "test"
    changed.loc[test, "kind"] = changed.loc[test, "kind"].map({"rare": "common", "common": "rare"})
    again = fit(changed, replace(REQUEST, verdict=2))
    assert again.metrics["kept"] == run.metrics["kept"]
    np.testing.assert_array_equal(again.saved.model.coef, run.saved.model.coef)
    assert again.metrics["methods"][0]["value"] != run.metrics["methods"][0]["value"]


def test_what_is_said_before_the_search(frame, listener):
    fit(frame, REQUEST, listener)
    assert listener.said[0] == (
        "small.csv: 192 train, 48 test rows; 5 features, 2 classes, 2 groups."
    )
    assert "Objective: group-balanced (the default with groups), on 5 folds." in listener.said
    shares = [share for share in listener.shares if share is not None]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_saved_design_is_a_start(run_folder, frame):
    path = str(run_folder / "design.json")
    again = fit(frame, replace(REQUEST, start=path, parameters=("ridge",)))
    assert again.metrics["search"]["start"] == "design.json"
    assert again.metrics["space"]["dimension"] == 1
    np.testing.assert_allclose(again.design.weight, read_design_weight(path), rtol=1e-12)


def read_design_weight(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)["weight"]


def test_a_saved_design_for_other_groups_is_no_start(run_folder, frame):
    request = FitRequest(PLAIN, start=str(run_folder / "design.json"))
    with pytest.raises(DesignError, match="made for other classes or groups"):
        fit(frame, request)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positive_class": "medium"}, "'medium' is not among the classes"),
        ({"start": "nowhere"}, "start 'nowhere' is neither a preset"),
        ({"parameters": ("bias",)}, "cannot search"),
        ({"dictionary": "fine"}, "dictionary 'fine' is unknown"),
        ({"cv": 1}, "use at least 2 folds"),
        ({"objective": "balance"}, "'balance' is not one of"),
    ],
)
def test_refused(frame, change, words):
    with pytest.raises(AutoBalanceError, match=words):
        fit(frame, replace(REQUEST, **change))


def test_the_positive_class_is_known_by_its_text(frame):
    coded = frame.assign(kind=(frame.kind == "rare").astype(int))
    request = replace(REQUEST, objective="0.5*error+0.5*equal-opportunity", positive_class="0")
    assert fit(coded, request).metrics["positive_class"] == 0


def test_one_split_instead_of_folds(frame, tmp_path):
    run = fit(frame, replace(REQUEST, cv=0.4))
    assert run.metrics["search"]["folds"] == 1


def test_evaluating_the_test_rows_repeats_the_metrics(run, run_folder, table_file):
    again = evaluate_rows(run_folder, table_file, Watch()).to_json()
    ours = kept_of(run)
    assert again["cell_errors"] == ours["cell_errors"]
    assert again["cell_intervals"] == ours["cell_intervals"]
    assert again["interval"] == ours["interval"]
