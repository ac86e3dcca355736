"""The commands that make pages of finished runs, as a user meets them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobalance.cli import main


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with the run of a small table, quickly made."""
    place = tmp_path_factory.mktemp("fitted")
    rng = np.random.default_rng(0)
    rare = np.arange(80) % 4 == 0
    frame = pd.DataFrame({"a": rng.normal(size=80) + rare, "b": rng.normal(size=80), "y": rare * 1})
    frame.to_csv(place / "table.csv", index=False)
    command = ["fit", str(place / "table.csv"), "--target", "y", "--out", str(place / "run")]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--verdict", "none", "--parameters", "ridge"])
    assert not stop.value.code
    return place / "run"


@pytest.fixture
def run(fitted, tmp_path, monkeypatch, command):
    """Run a command in a folder with two runs, ``one`` and ``two``."""
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        shutil.copytree(fitted, tmp_path / name)

    return command


def change(path, **changes):
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**document, **changes}), "utf-8")


def test_report_makes_the_page_again_and_prints_its_path(run):
    page = Path("one", "report.html")
    before = page.read_text("utf-8")
    page.unlink()
    assert run("report", "one") == (0, f"{page}\n", "")
    assert page.read_text("utf-8") == before


@pytest.mark.parametrize("name", ["metrics.json", "design.json", "history.csv"])
def test_report_refuses_what_is_not_whole_in_one_sentence(run, name):
    Path("one", name).write_text("{")
    code, out, err = run("report", "one")
    assert (code, out) == (2, "")
    assert err.startswith("autobalance: ")
    assert err.count("\n") == 1
    assert name in err


def test_report_says_that_an_older_run_must_be_fitted_again(run):
    change(Path("one", "metrics.json"), version=1)
    code, _, err = run("report", "one")
    assert code == 2
    assert err.endswith("run the fit again\n")


def test_compare_prints_a_table_and_the_path_last(run):
    code, out, err = run("compare", "one", "two")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == "autobalance-compare.html"
    assert "2 runs side by side" in Path(lines[-1]).read_text("utf-8")
    metrics = json.loads(Path("one", "metrics.json").read_text("utf-8"))
    assert f"one: {metrics['verdict']['headline']}" in lines
    values = {method["name"]: method["value"] for method in metrics["methods"]}
    for line in lines[2:4]:
        assert f"{100 * values['Cross-entropy']:.1f}%" in line
        assert f"{100 * values[metrics['kept']]:.1f}%" in line
        assert "balanced error" in line
    assert "come from the folds that also chose the losses" in out


def test_compare_points_out_what_is_not_comparable(run):
    change(Path("two", "metrics.json"), objective="error", basis="test split")
    code, out, _ = run("compare", "one", "two", "--out", "page.html")
    assert code == 0
    assert "compare figures only between runs with the same letter" in " ".join(out.split())
    assert "asked for different objectives" in out
    assert out.splitlines()[-1] == "page.html"
    assert Path("page.html").is_file()


def test_compare_refuses_in_one_sentence_and_writes_nothing(run):
    for arguments, words in (
        (["one"], "at least two runs"),
        (["one", "one"], "named twice"),
        (["one", "three"], "three is not a folder"),
        (["one", "two", "--out", "one/metrics.json"], "end in .html"),
        (["one", "two", "--out", "no/page.html"], "cannot write"),
    ):
        code, out, err = run("compare", *arguments)
        assert (code, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
    assert not Path("autobalance-compare.html").exists()


def test_help(run):
    for command in ("report", "compare"):
        code, out, err = run(command, "--help")
        assert (code, err) == (0, "")
        assert "Usage" in out
