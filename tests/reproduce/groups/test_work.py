"""Runs on Waterbirds: what a row holds, and which finished ones count."""

import json

import pytest

from autobalance.reproduce.groups.work import COLUMNS, Heads, run_heads
from autobalance.reproduce.runs import Unit


@pytest.mark.usefixtures("few_folds")
def test_a_row_has_metrics_predictions_and_what_was_chosen(write_waterbirds):
    row = Heads(write_waterbirds())(Unit(("group-la-tuned",), 1))["group-la-tuned"]
    assert len(row["predictions"]) == 60
    assert row["ridge"] > 0
    assert row["seconds"] >= 0
    figures = [f"{name.lower()} {row[metric]:.1f}%" for metric, name in COLUMNS.items()]
    assert row["told"] == ", ".join(figures)
    json.dumps(row, allow_nan=False)


@pytest.mark.usefixtures("few_folds")
def test_finished_runs_count_for_the_same_data_only(write_waterbirds, request_for, watch):
    keys = ["cross-entropy", "group-la"]
    request = request_for(write_waterbirds("one"))
    rows = run_heads(request, keys, 2, watch)
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("cross-entropy", 0),
        ("group-la", 0),
        ("cross-entropy", 1),
        ("group-la", 1),
    ]
    assert run_heads(request, keys, 2, watch) == rows
    assert watch.said[-1] == "4 of 4 runs are finished already"
    watch.said.clear()
    for folder, changed in (("other", {"seed": 1}), ("mixed", {"shuffled": True})):
        run_heads(request_for(write_waterbirds(folder, **changed)), keys, 1, watch)
    assert not any("finished already" in sentence for sentence in watch.said)
    run_heads(request_for(write_waterbirds("the first again")), keys, 1, watch)
    assert watch.said[-1] == "2 of 2 runs are finished already"


@pytest.mark.usefixtures("few_folds")
def test_the_settings_are_beside_the_runs(write_waterbirds, request_for, watch, tmp_path):
    run_heads(request_for(write_waterbirds()), ["group-la"], 1, watch)
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["features"] == "tiny"
    assert settings["objective"] == "worst-group"
    assert {path.name for path in folder.iterdir()} == {"settings.json", "group-la-seed0.json"}
