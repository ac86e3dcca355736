"""CSV files that are appended to, whatever an interruption left of them."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.errors import ArtifactError
from autobalance.tracking import CSVTracker, Tracker

VALUES = {"objective": 0.5, "risk[a, b|all]": float("nan"), "error[line\nend|all]": 0.25}


def write(folder, steps):
    tracker = CSVTracker(folder)
    for step in steps:
        tracker.scalars("moves", step, VALUES | {"objective": step / 7})


def read(folder):
    with open(folder / "moves.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_step_is_a_line(tmp_path):
    write(tmp_path / "run", (3, 10))
    rows = read(tmp_path / "run")
    assert [row["step"] for row in rows] == ["3", "10"]
    assert [float(row["objective"]) for row in rows] == [3 / 7, 10 / 7]
    assert list(rows[0]) == ["step", *VALUES]
    assert isinstance(CSVTracker(tmp_path), Tracker)


def test_a_line_is_on_disk_when_it_is_told(tmp_path):
    tracker = CSVTracker(tmp_path)
    for step in range(1, 4):
        tracker.scalars("moves", step, VALUES)
        assert len(read(tmp_path)) == CSVTracker(tmp_path).last("moves") == step


@given(kept=st.integers(0, 400), steps=st.integers(1, 4))
def test_wherever_a_file_was_cut_off_it_is_gone_on_with(tmp_path_factory, kept, steps):
    whole, cut = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("cut")
    write(whole, range(1, steps + 1))
    expected = (whole / "moves.csv").read_bytes()
    (cut / "moves.csv").write_bytes(expected[:kept])
    last = CSVTracker(cut).last("moves") or 0
    assert last <= steps
    write(cut, range(last + 1, steps + 1))
    assert (cut / "moves.csv").read_bytes() == expected


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"step,a\nx,1\n", b"\n"])
def test_what_is_no_table_of_steps_is_not_appended_to(tmp_path, content):
    (tmp_path / "moves.csv").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"moves\.csv is no table of steps; name another"):
        write(tmp_path, [1])
    assert (tmp_path / "moves.csv").read_bytes() == content


def test_other_columns_are_refused(tmp_path):
    write(tmp_path, [1])
    with pytest.raises(ArtifactError, match=r"moves\.csv has other columns than this run"):
        CSVTracker(tmp_path).scalars("moves", 2, {"objective": 0.5})
    assert len(read(tmp_path)) == 1


def test_settings_and_files_lie_beside(tmp_path):
    tracker = CSVTracker(tmp_path / "run")
    tracker.parameters({"objective": "balanced", "seed": 0})
    tracker.parameters({"seed": 0, "kept": "a, b"})
    (tmp_path / "design.json").write_text("{}")
    tracker.artifact(tmp_path / "design.json")
    tracker.close()
    expected = [["objective", "balanced"], ["seed", "0"], ["kept", "a, b"]]
    with open(tmp_path / "run/parameters.csv", newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == expected
    assert (tmp_path / "run/design.json").read_text() == "{}"
