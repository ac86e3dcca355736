"""Event files as TensorBoard itself reads them."""

import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from autobalance.errors import DataError
from autobalance.tracking import TensorBoardTracker, Tracker


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_figures_read_back_at_their_steps_before_it_is_closed(tmp_path):
    tracker = TensorBoardTracker(tmp_path / "run")
    assert isinstance(tracker, Tracker)
    for step in (5, 10):
        tracker.scalars("moves", step, {"objective": step / 7, "risk[ünï, x|all]": float("nan")})
    events = read(tmp_path / "run")
    assert sorted(events.Tags()["scalars"]) == ["moves/objective", "moves/risk[ünï, x|all]"]
    found = [(event.step, event.value) for event in events.Scalars("moves/objective")]
    assert found == [(5, np.float32(5 / 7)), (10, np.float32(10 / 7))]
    assert np.isnan([event.value for event in events.Scalars("moves/risk[ünï, x|all]")]).all()
    tracker.close()


def test_settings_and_text_files_read_back_and_others_are_named(tmp_path):
    tracker = TensorBoardTracker(tmp_path / "run")
    tracker.parameters({"objective": "balanced"})
    (tmp_path / "design.json").write_text('{\n "a": 1}')
    (tmp_path / "report.html").write_text("<p>")
    tracker.artifact(tmp_path / "design.json")
    tracker.artifact(tmp_path / "report.html")
    tracker.close()
    events = read(tmp_path / "run")
    texts = {
        tag.removesuffix("/text_summary"): events.Tensors(tag)[0]
        .tensor_proto.string_val[0]
        .decode()
        for tag in events.Tags()["tensors"]
    }
    assert "| objective | balanced |" in texts["parameters"]
    assert texts["design.json"] == '    {\n     "a": 1}'
    assert texts["report.html"] == str(tmp_path / "report.html")


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        DataError, match=r'needs tensorboard.*pip install "autobalance\[tracking\]"'
    ):
        TensorBoardTracker(tmp_path)
