"""Runs as MLflow itself reads them, from a store in a folder, with the network out of reach."""

import math
import os
import socket
import sys

import pytest
from mlflow import MlflowClient

from autobalance.errors import DataError
from autobalance.tracking import MLflowTracker, Tracker


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def connect(*_):
        raise AssertionError("a test of MLflow went to the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # needs no database packages


@pytest.fixture
def uri(tmp_path):
    return (tmp_path / "store").as_uri()


def read(uri, tracker):
    return MlflowClient(tracking_uri=uri).get_run(tracker.run_id)


def test_figures_read_back_at_their_steps(uri):
    tracker = MLflowTracker(uri, "digits")
    assert isinstance(tracker, Tracker)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    for step in (5, 10):
        tracker.scalars("moves", step, {"objective": step / 7, "risk[<5/x|all]": math.nan})
    client = MlflowClient(tracking_uri=uri)
    found = client.get_metric_history(tracker.run_id, "moves/objective")
    assert [(metric.step, metric.value) for metric in found] == [(5, 5 / 7), (10, 10 / 7)]
    (name,) = set(read(uri, tracker).data.metrics) - {"moves/objective"}
    assert name == "moves/risk._3c_5_2f_x.all"
    assert read(uri, tracker).info.run_name == "digits"
    assert read(uri, tracker).info.status == "RUNNING"


def test_more_figures_and_settings_than_a_call_may_have(uri):
    tracker = MLflowTracker(uri)
    tracker.scalars("moves", 1, {f"risk[{label}|all]": label / 3 for label in range(1201)})
    tracker.parameters(
        {f"setting {number}": number for number in range(150)} | {"long": "x" * 9000}
    )
    data = read(uri, tracker).data
    assert len(data.metrics) == 1201
    assert data.metrics["moves/risk.1200.all"] == 400
    assert len(data.params) == 151


def test_settings_are_logged_once_and_files_are_kept(uri, tmp_path):
    tracker = MLflowTracker(uri)
    tracker.parameters({"objective": "balanced", "version of torch": 2})
    tracker.parameters({"objective": "another", "kept": None})
    (tmp_path / "design.json").write_text("{}")
    tracker.artifact(tmp_path / "design.json")
    tracker.close()
    run = read(uri, tracker)
    assert run.data.params == {"objective": "balanced", "version of torch": "2", "kept": "None"}
    assert run.info.status == "FINISHED"
    client = MlflowClient(tracking_uri=uri)
    assert [file.path for file in client.list_artifacts(tracker.run_id)] == ["design.json"]


def test_an_interrupted_run_is_gone_on_with_if_asked(uri):
    first = MLflowTracker(uri, "digits")
    first.close(finished=False)
    assert read(uri, first).info.status == "KILLED"
    assert MLflowTracker(uri, "letters", resume=True).run_id != first.run_id
    again = MLflowTracker(uri, "digits", resume=True)
    assert again.run_id == first.run_id
    assert read(uri, again).info.status == "RUNNING"
    again.close()
    assert MLflowTracker(uri, "digits", resume=True).run_id != first.run_id


def test_a_store_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    with pytest.raises(DataError, match=r"^MLflow cannot track in 'file:.*sqlite") as error:
        MLflowTracker((tmp_path / "other").as_uri())
    assert "\n" not in str(error.value)


def test_without_mlflow_the_extra_is_named(uri, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(DataError, match=r'needs mlflow.*pip install "autobalance\[tracking\]"'):
        MLflowTracker(uri)
