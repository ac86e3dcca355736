"""What trackers hear of a run: everything once, and never at the cost of the run."""

import csv
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from torch import nn

from autobalance import AutoBalanceClassifier, OnlineSearch, OnlineSettings, preset
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.ranks import Ranks
from autobalance.tracking import Course, CSVTracker, course


def table(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(160, weights=[0.8], random_state=0)
    labels = np.array(["ant", "bee"])[y]
    return AutoBalanceClassifier("balanced", verdict=None, cv=2, random_state=0).fit(X, labels)


@pytest.fixture
def search():
    counts = Counts(np.array([[30.0], [10.0]]), ("ant", "bee"))
    loss = ParametricCrossEntropy.from_design(preset("logit-adjustment", counts))
    torch.manual_seed(0)
    x, y = torch.randn(40, 3), torch.arange(40) // 30
    options = {"parameters": ("weight", "additive"), "dictionary": "class"}
    model = nn.Linear(3, 2)
    settings = OnlineSettings(every=2)
    return OnlineSearch(model, loss, "balanced", [(x, y)], settings=settings, **options), x, y


def test_the_evaluations_of_an_exact_search(fitted, heard, tmp_path):
    result = fitted.result_
    with Course([heard]) as course:
        course.search_result(result)
    rows = heard.rows["evaluations"]
    assert [row["step"] for row in rows] == list(range(1, len(result.history) + 1))
    for row, evaluation in zip(rows, result.history, strict=True):
        for name in ("objective", "gradient_norm", "ridge", "temperature", "seconds"):
            assert row[name] == getattr(evaluation, name)
        assert row["risk[bee|all]"] == evaluation.risks[1, 0]
        assert row["error[ant|all]"] == evaluation.errors[0, 0]
    assert rows[-1]["best"] == min(evaluation.objective for evaluation in result.history)
    result.write_history(tmp_path / "history.csv")
    written = table(tmp_path / "history.csv")
    names = ["evaluation", *list(rows[0])[1:]]
    assert list(written[0]) == names
    told = [{name: repr(v) for name, v in zip(names, row.values(), strict=True)} for row in rows]
    assert written == told


def test_the_moves_of_a_search_in_a_loop_of_ones_own(search, heard, tmp_path):
    search, x, y = search
    with Course([heard]) as course:
        for _ in range(3):
            for _ in range(4):
                search.step(x, y)
            course.moves(search)
    rows = heard.rows["moves"]
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    for row, move in zip(rows, search.history, strict=True):
        names = ("weight[ant]", "weight[bee]", "additive[ant]", "additive[bee]")
        assert [row[name] for name in names] == move.alpha.tolist()
        assert (row["objective"], row["gradient_norm"]) == (move.record.value, move.record.norm)
        assert row["refused"] == 0.0
        assert row["error[bee|all]"] == move.errors[1, 0]
    assert heard.closed is True
    search.write_history(tmp_path / "history.csv")
    written = table(tmp_path / "history.csv")
    assert [int(row["iteration"]) for row in written] == [2, 4, 6, 8, 10, 12]
    assert [float(row["weight[bee]"]) for row in written] == [row["weight[bee]"] for row in rows]


def test_a_refused_move_is_told(search, heard):
    search, x, y = search
    with torch.no_grad():
        search.model.weight.fill_(torch.nan)
    for _ in range(2):
        search.step(x, y)
    Course([heard]).moves(search)
    (row,) = heard.rows["moves"]
    assert row["refused"] == 1.0
    assert search.history[0].refused


def test_epochs_moves_errors_and_the_design_of_a_retraining(run, heard, make_points, tmp_path):
    result = run(tmp_path / "run", trackers=[heard], test_data=make_points(1))
    for phase in ("search", "retraining"):
        rows = heard.rows[phase]
        assert [row["step"] for row in rows] == [1, 2, 3]
        assert [row["train_loss"] for row in rows] == [e.train_loss for e in result.epochs[phase]]
        assert [row["learning_rate"] for row in rows] == [
            epoch.learning_rate for epoch in result.epochs[phase]
        ]
    errors = [epoch.cell_errors[1][0] for epoch in result.epochs["search"]]
    assert [row["error[bee|all]"] for row in heard.rows["search"]] == errors
    assert [row["step"] for row in heard.rows["moves"]] == [m.iteration for m in result.moves]
    (measured,) = heard.rows["measured"]
    assert measured["objective"] == result.evaluation.objective.value
    assert measured["error[ant|all]"] == result.evaluation.cell_errors[0, 0]
    assert LossDesign.from_json(heard.files["design.json"]).weight.tolist() == (
        result.design.weight.tolist()
    )
    assert heard.settings["objective"] == "balanced"
    assert heard.settings["training epochs"] == "3"
    assert {"seed", "start", "dictionary", "version of torch"} <= set(heard.settings)
    assert heard.closed is True
    for series, rows in heard.rows.items():
        written = table(tmp_path / "run" / f"{series}.csv")
        assert [{k: float(v) for k, v in row.items()} for row in written] == rows


@pytest.mark.parametrize(("phase", "number"), [("search", 2), ("search", 3), ("retraining", 1)])
def test_an_interrupted_run_tells_nothing_twice_and_leaves_nothing_out(
    run, make_heard, tmp_path, phase, number
):
    alone = make_heard()
    run(tmp_path / "alone", trackers=[alone])
    before, after = make_heard(), make_heard()

    def interrupt(part, epoch):
        if (part, epoch.number) == (phase, number):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", progress=interrupt, trackers=[before])
    assert before.closed is False
    told = table(tmp_path / "run" / f"{phase}.csv")
    assert [int(row["step"]) for row in told] == list(range(1, number + 1))
    run(tmp_path / "run", trackers=[after])
    for series, rows in alone.rows.items():
        assert before.rows.get(series, []) + after.rows.get(series, []) == rows
        name = f"{series}.csv"
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_what_was_saved_but_not_told_is_told_by_the_next_run(run, heard, tmp_path, monkeypatch):
    def broken_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Course, "training", broken_off)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run")
    run(tmp_path / "run", trackers=[heard])
    assert [row["step"] for row in heard.rows["search"]] == [1, 2, 3]


@pytest.mark.parametrize("failing_at", [1, 2, 5, 9])
def test_a_tracker_that_fails_costs_the_run_nothing(run, make_heard, tmp_path, failing_at):
    failing, sound = make_heard(failing_at), make_heard()
    expected = run()
    with pytest.warns(UserWarning, match="goes on without its Heard, which failed:.*No space") as w:
        found = run(trackers=[failing, sound])
    assert len(w) == 1
    assert failing.calls == failing_at
    assert found.design.additive.tolist() == expected.design.additive.tolist()
    assert [row["step"] for row in sound.rows["retraining"]] == [1, 2, 3]
    assert sound.closed is True


def test_csv_files_that_cannot_be_written_cost_the_run_nothing(heard, fitted, tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.warns(UserWarning, match="without its CSVTracker, which failed"),
        Course([heard], tmp_path / "file") as course,
    ):
        course.search_result(fitted.result_)
    assert len(heard.rows["evaluations"]) == len(fitted.result_.history)
    assert (tmp_path / "file").read_text() == "mine"


def test_of_several_ranks_the_first_tells(run, heard, tmp_path, monkeypatch):
    monkeypatch.setattr(course, "current_ranks", lambda: Ranks(1, 2))
    run(tmp_path / "run", trackers=[heard])
    assert heard.calls == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"search", "retraining"}


def test_figures_of_very_many_cells_go_to_csv_files_only(heard, tmp_path):
    cells = {f"error[{label}|all]": 0.5 for label in range(250)}
    with Course([heard, CSVTracker(tmp_path)]) as course:
        course.measured({"objective": 0.5, **cells})
    assert heard.rows["measured"] == [{"step": 1, "objective": 0.5}]
    assert len(table(tmp_path / "measured.csv")[0]) == 252


def test_with_nobody_listening_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
    assert not list(tmp_path.iterdir())
