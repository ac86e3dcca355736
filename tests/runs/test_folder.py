import json
import shutil

import numpy as np
import pytest

from autobalance.errors import ArtifactError, AutoBalanceError
from autobalance.objectives import Objective
from autobalance.runs.evaluate import evaluate_rows
from autobalance.runs.folder import SavedModel
from autobalance.runs.watch import Watch


@pytest.fixture
def folder(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "copy")


def edit(path, **changes):
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**document, **changes}), "utf-8")


def test_the_model_reads_back(run, run_folder):
    saved = SavedModel.read(run_folder)
    assert saved.reader == run.saved.reader
    assert saved.objective == Objective.parse("group-balanced")
    np.testing.assert_array_equal(saved.model.coef, run.saved.model.coef)
    np.testing.assert_array_equal(saved.model.intercept, run.saved.model.intercept)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("model.json", {"version": 99}, "version 99"),
        ("model.json", {"format": "other"}, "is not an autobalance-model"),
        ("model.json", {"extra": {}}, "not written by autobalance fit"),
        ("model.json", {"extra": {"encoder": {}}}, "encoder is damaged"),
        ("model.json", {"features": 4}, "does not fit"),
        ("design.json", {"version": 99}, "version 99"),
        ("design.json", {"classes": ["common", "epic"]}, "names other classes"),
        ("design.json", {"weight": [[1.0]]}, "damaged"),
    ],
)
def test_damaged_documents_are_refused(folder, table_file, name, changes, words):
    edit(folder / name, **changes)
    with pytest.raises(AutoBalanceError, match=words):
        evaluate_rows(folder, table_file, Watch())


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "design.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "noise"])
def test_damaged_files_are_refused(folder, table_file, name, damage):
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\x00\xff" * 40)
    with pytest.raises(AutoBalanceError, match=name):
        evaluate_rows(folder, table_file, Watch())


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="is not a folder"):
        SavedModel.read(tmp_path / "nowhere")
