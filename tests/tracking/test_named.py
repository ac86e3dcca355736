import runpy
import sys

import pytest

from autobalance.errors import DataError
from autobalance.tracking import (
    CSVTracker,
    TensorBoardTracker,
    mlflow,
    named,
    open_tracker,
    tensorboard,
)


def test_names_lead_to_trackers(tmp_path):
    files = open_tracker(f"csv:{tmp_path}/a:b")
    assert isinstance(files, CSVTracker)
    assert files.folder == tmp_path / "a:b"
    board = open_tracker(f"tensorboard:{tmp_path}/board")
    assert isinstance(board, TensorBoardTracker)
    board.close()


@pytest.mark.parametrize("text", ["", "csv", "csv:", "wandb:x", "tmp/folder"])
def test_other_names_are_refused(text):
    with pytest.raises(DataError, match=r"use csv:FOLDER, tensorboard:FOLDER or mlflow:URI"):
        open_tracker(text)


@pytest.mark.parametrize("module", [tensorboard, mlflow, named])
def test_nothing_is_imported_before_it_is_asked_for(module, monkeypatch):
    for name in ("mlflow", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    runpy.run_path(module.__file__)
