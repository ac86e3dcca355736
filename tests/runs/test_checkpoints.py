"""What an interrupted fit leaves behind, and when it is gone on with."""

from dataclasses import replace

import pytest

from autobalance.errors import ArtifactError, SearchError
from autobalance.runs.checkpoints import RunCheckpoints
from autobalance.runs.columns import Columns
from autobalance.runs.fit import FitRequest
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


def begun(tmp_path, table, resume=False, request=REQUEST):
    checkpoints, watch = RunCheckpoints(tmp_path / "out", request, table), Listener()
    checkpoints.begin(resume, watch)
    return checkpoints, watch.said


def test_they_lie_beside_the_output_until_it_is_written(tmp_path, table):
    checkpoints, said = begun(tmp_path, table)
    with checkpoints.for_an_interruption(Watch()) as folder:
        assert folder == tmp_path / "out.checkpoints"
        assert folder.is_dir()
    assert not folder.exists()
    assert said == []


@pytest.mark.parametrize(
    ("error", "kept"),
    [(ArtifactError("full"), True), (KeyboardInterrupt(), True), (SearchError("nan"), False)],
    ids=repr,
)
def test_they_stay_where_a_fit_may_be_gone_on_with(tmp_path, table, error, kept):
    checkpoints, _ = begun(tmp_path, table)
    with pytest.raises(type(error)), checkpoints.for_an_interruption(Watch()):
        raise error
    assert checkpoints.folder.exists() == kept


def test_an_interrupted_fit_is_gone_on_with_on_request_only(tmp_path, table):
    first, _ = begun(tmp_path, table)
    (first.folder / "part-1").mkdir()
    with pytest.raises(ArtifactError, match="add --resume"):
        begun(tmp_path, table)
    again, said = begun(tmp_path, table, resume=True)
    assert (again.folder / "part-1").exists()
    assert said == [f"Going on with the fit in {again.folder}."]


def test_with_nothing_to_resume_it_starts_anew_and_says_so(tmp_path, table):
    checkpoints, said = begun(tmp_path, table, resume=True)
    assert checkpoints.folder.is_dir()
    assert "no interrupted fit" in said[0]


def test_other_settings_or_another_table_are_no_continuation(tmp_path, table):
    begun(tmp_path, table)
    with pytest.raises(ArtifactError, match="other settings"):
        begun(tmp_path, table, resume=True, request=replace(REQUEST, seed=1))
    table.write_text("x,y\n2,a\n")
    with pytest.raises(ArtifactError, match="another table"):
        begun(tmp_path, table, resume=True)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "autobalance-interrupted-fit"}'])
def test_a_damaged_mark_is_refused(tmp_path, table, content):
    checkpoints, _ = begun(tmp_path, table)
    (checkpoints.folder / "fit.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"fit\.json"):
        begun(tmp_path, table, resume=True)
