"""The files of an outcome: what the record holds, and that nothing is written by halves."""

import json
import re
from dataclasses import replace
from datetime import datetime

import pytest
import torch

from autobalance import __version__
from autobalance.errors import ArtifactError
from autobalance.reproduce.pages import markdown
from autobalance.reproduce.write import write_outcome

ARGUMENTS = [
    "reproduce",
    "table9",
    "--data-dir",
    "/home/me/data",
    "--out",
    "pages/birds",
    "--jobs=2",
]


def test_the_record_says_what_was_found_and_how(outcome, tmp_path):
    paths = write_outcome(outcome, tmp_path / "deep" / "pages", ARGUMENTS)
    assert [path.name for path in paths] == [
        "table9_birds.json",
        "table9_birds.md",
        "table9_birds.html",
        "table9_birds_front.png",
    ]
    assert {path.parent for path in paths} == {tmp_path / "deep" / "pages"}
    record = json.loads(paths[0].read_text("utf-8"))
    assert record["reproduction"] == "table9_birds"
    assert record["title"] == outcome.title
    command = "autobalance reproduce table9 --data-dir data --out birds --jobs=2"
    assert record["command"] == command
    assert datetime.fromisoformat(record["created"]).tzinfo is not None
    assert record["versions"]["autobalance"] == __version__
    assert record["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert record["hardware"]["cores"] >= 1
    assert record["conditions"] == outcome.conditions
    assert record["deviations"] == list(outcome.deviations)
    assert record["checks"][1] == {"claim": "gap < 1", "passed": False, "found": "1.30"}
    assert record["summary"] == [{"method": "ours", "error": 3.0}]
    assert record["rows"] == list(outcome.rows)


def test_the_pages_are_made_of_the_record(outcome, tmp_path):
    json_path, md_path, html_path, png_path = write_outcome(outcome, tmp_path, ARGUMENTS)
    record = json.loads(json_path.read_text("utf-8"))
    assert md_path.read_text("utf-8") == markdown(outcome, record)
    assert record["command"] in html_path.read_text("utf-8")
    assert png_path.read_bytes().startswith(b"\x89PNG")
    assert png_path.name in md_path.read_text("utf-8")


def test_an_earlier_outcome_is_replaced_and_other_files_stay(outcome, tmp_path):
    write_outcome(outcome, tmp_path, ARGUMENTS)
    (tmp_path / "note.txt").write_text("mine")
    write_outcome(replace(outcome, title="Table 9, again"), tmp_path, ARGUMENTS)
    assert len(list(tmp_path.iterdir())) == 5
    for suffix in (".json", ".md", ".html"):
        assert "Table 9, again" in (tmp_path / f"table9_birds{suffix}").read_text("utf-8")


def test_a_folder_that_is_a_file_is_refused_and_left_alone(outcome, tmp_path):
    target = tmp_path / "pages"
    target.write_text("mine")
    message = re.escape(f"cannot write {target} (File exists); choose another folder with --out")
    with pytest.raises(ArtifactError, match=f"^{message}$"):
        write_outcome(outcome, target, ARGUMENTS)
    assert [path.name for path in tmp_path.iterdir()] == ["pages"]
    assert target.read_text() == "mine"


def test_what_cannot_be_written_out_leaves_no_file(outcome, tmp_path):
    broken = replace(outcome, rows=({"method": "ours", "error": float("nan")},))
    with pytest.raises(ValueError, match="JSON compliant"):
        write_outcome(broken, tmp_path, ARGUMENTS)
    assert list(tmp_path.iterdir()) == []
