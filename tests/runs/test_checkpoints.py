"""What an interrupted fit leaves behind, and when it is gone on with."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autobalance.errors import ArtifactError, DataError, SearchError
from autobalance.runs.checkpoints import FORMAT, RunCheckpoints
from autobalance.runs.columns import Columns
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch

REQUEST = FitRequest(Columns("y"), model="mlp")


class Listener(Watch):
    def __init__(self):
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n1,a\n")
    return path


def entered(tmp_path, table, resume=False, request=REQUEST):
    checkpoints, watch = RunCheckpoints(tmp_path / "out", request, table), Listener()
    return checkpoints.for_an_interruption(resume, watch), watch.said


def interrupted(tmp_path, table, error=KeyboardInterrupt, saves=True):
    """The folder of a fit that was left after an epoch, or before."""
    context, said = entered(tmp_path, table)

    def fit():
        with context as folder:
            assert json.loads((folder / "fit.json").read_text())["format"] == FORMAT
            if saves:
                (folder / "part-1").mkdir()
                (folder / "part-1/checkpoint-000001.checkpoint").write_bytes(b"")
            raise error

    with pytest.raises(error):
        fit()
    return tmp_path / "out.checkpoints", said


def test_they_lie_beside_the_output_until_it_is_written(tmp_path, table):
    context, said = entered(tmp_path, table)
    with context as folder:
        assert folder == tmp_path / "out.checkpoints"
        assert folder.is_dir()
    assert not folder.exists()
    assert said == []


@pytest.mark.parametrize(
    ("error", "kept"),
    [(ArtifactError, True), (KeyboardInterrupt, True), (MemoryError, True), (SearchError, False)],
)
def test_they_stay_where_a_fit_may_be_gone_on_with(tmp_path, table, error, kept):
    folder, said = interrupted(tmp_path, table, error)
    assert folder.exists() == kept
    assert any("--resume" in sentence for sentence in said) == (error is KeyboardInterrupt)


@pytest.mark.parametrize("error", [ArtifactError, KeyboardInterrupt, MemoryError, SearchError])
def test_a_folder_without_a_checkpoint_never_stays(tmp_path, table, error):
    folder, said = interrupted(tmp_path, table, error, saves=False)
    assert not folder.exists()
    assert said == []


def test_an_interrupted_fit_is_gone_on_with_on_request_only(tmp_path, table):
    folder, _ = interrupted(tmp_path, table)
    with pytest.raises(ArtifactError, match="add --resume"), entered(tmp_path, table)[0]:
        pass
    context, said = entered(tmp_path, table, resume=True, request=replace(REQUEST, jobs=2))
    with context:
        assert (folder / "part-1").exists()
        assert said == [f"Going on with the fit in {folder}."]
    assert not folder.exists()


def test_with_nothing_to_resume_it_starts_anew_and_says_so(tmp_path, table):
    context, said = entered(tmp_path, table, resume=True)
    with context as folder:
        assert folder.is_dir()
    assert "no interrupted fit" in said[0]


def test_a_fit_that_is_running_is_left_alone(tmp_path, table):
    with entered(tmp_path, table)[0] as folder:
        before = (folder / "fit.json").read_text()
        with (
            pytest.raises(ArtifactError, match="or is running"),
            entered(tmp_path, table, request=replace(REQUEST, seed=1))[0],
        ):
            pass
        assert (folder / "fit.json").read_text() == before


def test_what_somebody_has_put_there_is_not_deleted(tmp_path, table):
    with entered(tmp_path, table)[0] as folder:
        (folder / "split").mkdir()
        (folder / "split/checkpoint-000001.checkpoint").write_bytes(b"")
        (folder / "notes.txt").write_text("mine")
    assert [path.name for path in folder.rglob("*")] == ["notes.txt"]


def test_a_folder_that_no_fit_has_made_is_left_alone(tmp_path, table):
    mine = tmp_path / "out.checkpoints/mine.txt"
    mine.parent.mkdir()
    mine.write_text("precious")
    for resume in (False, True):
        with (
            pytest.raises(ArtifactError, match=r"holds files but no fit\.json"),
            entered(tmp_path, table, resume)[0],
        ):
            pass
    assert mine.read_text() == "precious"


def test_the_folder_one_is_in_has_a_name_too(tmp_path, table, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert RunCheckpoints(Path("."), REQUEST, table).folder == tmp_path / "work.checkpoints"


def test_other_settings_or_another_table_are_no_continuation(tmp_path, table):
    interrupted(tmp_path, table)
    with (
        pytest.raises(ArtifactError, match="other settings"),
        entered(tmp_path, table, resume=True, request=replace(REQUEST, seed=1))[0],
    ):
        pass
    table.write_text("x,y\n2,a\n")
    with (
        pytest.raises(ArtifactError, match="other data"),
        entered(tmp_path, table, resume=True)[0],
    ):
        pass


SMALL = "def small(shape, n_classes): ...\n"


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({"changing_module.py": SMALL}, "changing_module.py"),
        (
            {"changing_package/__init__.py": "from .net import small", "net.py": ""}
            | {"changing_package/net.py": SMALL},
            "changing_package/net.py",
        ),
    ],
    ids=["module", "package"],
)
def test_changed_code_of_a_model_is_no_continuation(tmp_path, table, monkeypatch, files, changed):
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    name = changed.partition("/")[0].removesuffix(".py")
    request = replace(REQUEST, model=f"{name}:small")

    def mark():
        return RunCheckpoints(tmp_path / "out", request, table)._mark

    before = mark()
    assert mark() == before
    Path(changed).write_text("def small(shape, n_classes): return None\n")
    assert mark() != before


def test_a_changed_starting_design_is_no_continuation(tmp_path, table):
    start = tmp_path / "start.json"
    start.write_text("{}")
    request = replace(REQUEST, start=str(start))
    before = RunCheckpoints(tmp_path / "out", request, table)._mark
    start.write_text('{"ridge": 1}')
    after = RunCheckpoints(tmp_path / "out", request, table)._mark
    start.unlink()
    assert len({before, after, RunCheckpoints(tmp_path / "out", request, table)._mark}) == 3


def test_a_model_that_there_is_not_is_known_before_anything_is_made(tmp_path, table):
    with pytest.raises(DataError, match="forest"):
        RunCheckpoints(tmp_path / "out", replace(REQUEST, model="forest"), table)
    assert not (tmp_path / "out.checkpoints").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"format": "autobalance-interrupted-fit"}'])
def test_a_damaged_mark_is_refused(tmp_path, table, content):
    folder, _ = interrupted(tmp_path, table)
    (folder / "fit.json").write_text(content)
    with (
        pytest.raises(ArtifactError, match=r"fit\.json"),
        entered(tmp_path, table, resume=True)[0],
    ):
        pass


def test_a_folder_is_known_by_the_names_and_sizes_of_its_files(tmp_path):
    folder = tmp_path / "birds"
    folder.mkdir()
    (folder / "owl.png").write_bytes(b"owl")
    interrupted(tmp_path, folder)
    with entered(tmp_path, folder, resume=True)[0]:
        pass
    interrupted(tmp_path, folder)
    (folder / "gull.png").write_bytes(b"gull")
    with (
        pytest.raises(ArtifactError, match="other data"),
        entered(tmp_path, folder, resume=True)[0],
    ):
        pass
