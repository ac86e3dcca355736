"""``autobalance fit --track``: the run where it is watched, and what goes wrong there."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from autobalance.cli import main
from autobalance.contest import contenders
from autobalance.training.loop import Training

QUICK = ("--cv", "2", "--verdict", "none")
NETWORK = ("--model", "linear", "--epochs", "3", "--batch-size", "8", "--out", "out")


@pytest.fixture
def fit(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contenders, "WITHOUT_GROUPS", (contenders.CROSS_ENTROPY,))  # to be quick
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    rng = np.random.default_rng(0)
    rare = np.arange(120) % 4 == 0
    pd.DataFrame({"a": rng.normal(size=120) + rare, "y": np.where(rare, "bee", "ant")}).to_csv(
        "table.csv", index=False
    )

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["fit", "table.csv", "--target", "y", *QUICK, *arguments])
        return stop.value.code or 0, capsys.readouterr().err

    return call


def table(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_linear_head_in_three_places(fit, tmp_path):
    tracks = (
        "--track",
        "csv:files",
        "--track",
        "tensorboard:board",
        "--track",
        f"mlflow:{tmp_path}/store",
    )
    code, err = fit(*tracks, "--out", "out")
    assert (code, "went" in err) == (0, False)
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    history = table("out/history.csv")
    objective = [float(row["objective"]) for row in history]
    assert [float(row["objective"]) for row in table("files/evaluations.csv")] == objective

    board = EventAccumulator("board")
    board.Reload()
    events = board.Scalars("evaluations/objective")
    assert [event.value for event in events] == np.float32(objective).tolist()

    client = MlflowClient(tracking_uri=str(tmp_path / "store"))
    experiment = client.get_experiment_by_name("autobalance")
    (run,) = client.search_runs([experiment.experiment_id])
    found = client.get_metric_history(run.info.run_id, "evaluations/objective")
    assert [metric.value for metric in found] == objective
    assert run.data.metrics["measured/objective"] == metrics["methods"][0]["value"]
    assert run.data.params["objective"] == "balanced"
    assert run.data.params["kept"] == metrics["kept"]
    assert run.data.params["version of torch"] == metrics["versions"]["torch"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", str(tmp_path / "out"))
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"design.json", "report.html"}


@pytest.mark.slow
def test_a_network_that_is_interrupted_and_resumed(fit, tmp_path, monkeypatch):
    assert fit(*NETWORK, "--track", "csv:alone")[0] == 0
    (tmp_path / "out").rename(tmp_path / "first")
    tracks = ("--track", "csv:files", "--track", f"mlflow:{tmp_path}/store")
    epoch, seen = Training._epoch, []

    def interrupted(self, number):
        seen.append(number)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", interrupted)
        assert fit(*NETWORK, *tracks)[0] == 130
    assert [row["step"] for row in table("files/search.csv")] == ["1", "2"]
    assert fit(*NETWORK, *tracks, "--resume")[0] == 0
    assert not (tmp_path / "out.checkpoints").exists()
    names = {path.name for path in (tmp_path / "alone").glob("*.csv")}
    assert {"search.csv", "retraining.csv", "moves.csv", "measured.csv"} <= names
    for name in names:
        assert (tmp_path / "files" / name).read_text() == (tmp_path / "alone" / name).read_text()
    client = MlflowClient(tracking_uri=str(tmp_path / "store"))
    (run,) = client.search_runs([client.get_experiment_by_name("autobalance").experiment_id])
    losses = client.get_metric_history(run.info.run_id, "search/train_loss")
    expected = [(int(row["step"]), float(row["train_loss"])) for row in table("alone/search.csv")]
    assert [(metric.step, metric.value) for metric in losses] == expected
    assert run.info.status == "FINISHED"


def test_a_tracker_that_fails_costs_a_warning_only(fit, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, err = fit("--track", "csv:file", "--out", "out")
    assert code == 0
    assert err.count("the run goes on without its CSVTracker, which failed") == 1
    assert (tmp_path / "out/report.html").exists()


def test_what_is_no_tracker_is_refused_before_anything_is_done(fit, tmp_path):
    code, err = fit("--track", "wandb:me", "--out", "out")
    assert code == 2
    assert "there is no tracker 'wandb:me'; use csv:FOLDER" in err
    assert not (tmp_path / "out").exists()
