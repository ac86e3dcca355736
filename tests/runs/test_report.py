import json
import shutil

import pytest

from autobalance.errors import AutoBalanceError
from autobalance.runs.report import RunRecord, remake_report


@pytest.fixture
def folder(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "copy")


def edit(path, **changes):
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**document, **changes}), "utf-8")


def test_the_record_of_a_run_reads_back(run, run_folder):
    record = RunRecord.read(run_folder)
    assert record.metrics == json.loads(json.dumps(run.metrics))
    assert record.design == run.design
    assert [float(row["objective"]) for row in record.history] == [
        evaluation.objective for evaluation in run.history
    ]


def test_the_report_is_made_again_as_it_was(folder):
    path = folder / "report.html"
    before = path.read_text("utf-8")
    path.unlink()
    assert remake_report(folder) == path
    assert path.read_text("utf-8") == before


def test_it_needs_neither_model_nor_report(folder):
    for name in ("model.json", "model.safetensors", "report.html"):
        (folder / name).unlink()
    assert remake_report(folder).is_file()


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("metrics.json", {"version": 1}, "version 1.*no longer reads; run the fit again"),
        ("metrics.json", {"version": 99}, "version 99.*upgrade"),
        ("metrics.json", {"format": "other"}, "is not an autobalance-metrics file"),
        ("metrics.json", {"methods": []}, "damaged or incomplete"),
        ("metrics.json", {"classes": None}, "metrics.json is damaged"),
        ("metrics.json", {"groups": [{"a": 1}]}, "metrics.json is damaged"),
        ("metrics.json", {"classes": ["common", "epic"]}, "names other classes or groups"),
        ("metrics.json", {"groups": None}, "names other classes or groups"),
        ("design.json", {"version": 99}, "version 99"),
        ("design.json", {"weight": [[1.0]]}, "damaged"),
    ],
)
def test_damaged_documents_are_refused(folder, name, changes, words):
    before = (folder / "report.html").read_bytes()
    edit(folder / name, **changes)
    with pytest.raises(AutoBalanceError, match=words):
        remake_report(folder)
    assert (folder / "report.html").read_bytes() == before


@pytest.mark.parametrize("name", ["metrics.json", "design.json", "history.csv"])
@pytest.mark.parametrize("damage", ["missing", "noise"])
def test_damaged_files_are_refused(folder, name, damage):
    path = folder / name
    path.unlink()
    if damage == "noise":
        path.write_bytes(b"\xff\x00" * 40)
    with pytest.raises(
        AutoBalanceError, match=f"{name}.*(restore|run the fit again|check the path)"
    ):
        remake_report(folder)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "evaluation,objective,best\n1,x,2\n", 'a,"b\n\x00'])
def test_a_history_without_numbers_is_refused(folder, text):
    (folder / "history.csv").write_text(text)
    with pytest.raises(AutoBalanceError, match=r"history\.csv"):
        remake_report(folder)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(AutoBalanceError, match="is not a folder"):
        remake_report(tmp_path / "nowhere")
    with pytest.raises(AutoBalanceError, match=r"cannot read .*metrics\.json"):
        remake_report(tmp_path)


def test_a_page_that_cannot_be_written_leaves_the_folder_as_it_was(folder):
    path = folder / "report.html"
    path.unlink()
    path.mkdir()
    with pytest.raises(AutoBalanceError, match="cannot write"):
        remake_report(folder)
    assert not [each.name for each in folder.iterdir() if each.name.endswith(".part")]
