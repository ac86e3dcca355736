"""The command ``reproduce`` as a user meets it."""

import json
import sys

import numpy as np
import pytest

from autobalance.cli import main
from autobalance.reproduce.groups import lab


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``reproduce`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["autobalance", "reproduce", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """A folder of data with a few birds of every kind in every place and part."""
    monkeypatch.setattr(lab, "FOLDS", 3)
    monkeypatch.setattr(lab, "REPEATS", 1)
    rng = np.random.default_rng(0)
    y, g, split = (
        np.tile(np.arange(240) // step % size, 1) for step, size in ((1, 2), (2, 2), (4, 3))
    )
    x = rng.normal(size=(240, 4)) + np.eye(2, 4)[y] + np.eye(2, 4, 2)[g]
    (tmp_path / "data" / "waterbirds").mkdir(parents=True)
    file = tmp_path / "data" / "waterbirds" / "features_tiny.npz"
    np.savez(file, features=x.astype(np.float32), y=y, place=g, split=split)
    return tmp_path / "data"


TABLE3 = ("table3", "--methods", "cross-entropy,group-la", "--seeds", "1")


def test_a_table_is_printed_and_written(run, birds, tmp_path):
    out = tmp_path / "deep" / "pages"
    code, printed, err = run(*TABLE3, "--data-dir", str(birds), "--out", str(out))
    assert code == 0
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines[0].startswith("Table 3: ")
    (row,) = [line for line in lines if line.startswith("Cross-entropy (CE) ")]
    assert row.split()[3::2] == ["23.38", "43.25", "33.75"]
    assert any(line.startswith("Not the paper's setting: ") for line in lines)
    paths = [str(out / f"table3_waterbirds{suffix}") for suffix in (".json", ".md", ".html")]
    assert printed.splitlines()[-3:] == paths
    assert "seed 0, group-la: balanced " in err
    record = json.loads((out / "table3_waterbirds.json").read_text("utf-8"))
    assert record["command"] == (
        "autobalance reproduce table3 --data-dir data --methods cross-entropy,group-la --seeds 1 "
        "--jobs 1 --out pages"
    )
    assert [entry["method"] for entry in record["rows"]] == ["cross-entropy", "group-la"]
    markdown = (out / "table3_waterbirds.md").read_text("utf-8")
    assert f"| {row.split()[2]} | 23.38 |" in markdown
    assert "23.38" in (out / "table3_waterbirds.html").read_text("utf-8")


def test_finished_runs_are_not_repeated(run, birds):
    arguments = (*TABLE3, "--data-dir", str(birds))
    first = run(*arguments)
    again = run(*arguments)
    assert "2 of 2 runs are finished already" in again[2]
    assert "seed 0" not in again[2]
    assert again[:2] == first[:2]
    assert "autobalance-reproduce/table3_waterbirds.json" in first[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("table9",), "there is no reproduction 'table9'; choose among 'table1', 'table2'"),
        (("table6",), "there is no reproduction 'table6'; choose among "),
        (("table3",), "table3 needs data; name the folder that holds a folder for each data set"),
        (
            ("table3", "--data-dir", "nowhere"),
            "there is no nowhere/waterbirds/features_BACKBONE.npz; make it from the images",
        ),
        (
            ("table3", "--data-dir", ".", "--epochs", "3"),
            "--epochs means nothing for table3; leave",
        ),
        (("lemma2", "--device", "cpu"), "--device means nothing for lemma2; leave it out"),
        (("table3", "--data-dir", ".", "--dataset", "cifar10-lt"), "table3 is not made on 'cifar1"),
        (
            ("all", "--methods", "cross-entropy"),
            "--methods are the rows of one table; leave it out",
        ),
        (("all", "--dataset", "wasps"), "nothing is made on 'wasps'; data sets: "),
        (("all", "--preset", "ours"), "preset is 'ours'; use paper or authors-code"),
    ],
)
def test_refusals_are_one_sentence(run, tmp_path, arguments, said):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"autobalance: {said}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cross-entropi", ""])
def test_an_unknown_row_is_named(run, birds, name):
    code, _, err = run("table3", "--data-dir", str(birds), "--methods", f"group-la, {name}")
    assert code == 2
    assert f"--methods: there is no {name!r} here; choose among 'cross-entropy'" in err


def test_a_folder_that_is_a_file_is_refused_before_anything_is_trained(run, birds, tmp_path):
    (tmp_path / "pages").write_text("mine")
    code, _, err = run(*TABLE3, "--data-dir", str(birds), "--out", "pages")
    assert code == 2
    assert "cannot write pages/runs" in err
    assert err.splitlines()[-1].endswith("choose another folder with --out")
    assert (tmp_path / "pages").read_text() == "mine"


def test_options_that_no_value_fits_are_refused(run):
    for arguments in (("table3", "--seeds", "0"), ("table1", "--epochs", "0"), ()):
        code, out, _ = run(*arguments)
        assert (code, out) == (2, "")


def test_help_names_every_reproduction(run):
    from autobalance.reproduce.catalogue import ALL, CATALOGUE

    code, out, err = run("--help")
    assert (code, err) == (0, "")
    words = set(out.replace(",", " ").replace(".", " ").split())
    figures = {f"figure{number}" for number in range(3, 5)}  # "figure2 to figure5"
    tables = {f"table{number}" for number in range(2, 5)}  # "table1 to table5"
    assert {*CATALOGUE, ALL} - figures - tables <= words
    assert figures | tables <= set(CATALOGUE)
