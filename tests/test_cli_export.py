"""``autobalance export``: what it asks for, prints and writes."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from autobalance.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table and a run on it."""
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    rare = np.arange(160) % 4 == 0
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=160) + rare,
            "b": rng.choice(["red", "blue"], 160),
            "y": np.where(rare, "yes", "no"),
        }
    )
    frame.to_csv(folder / "table.csv", index=False)
    fit = ("fit", folder / "table.csv", "--target", "y", "--verdict", "none", "--cv", "2")
    with pytest.raises(SystemExit) as stop:
        main([*map(str, fit), "--out", str(folder / "run")])
    assert not stop.value.code
    return folder


@pytest.fixture
def run(folder, command_on_one_line, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    return command_on_one_line


def test_everything_at_once(run, tmp_path):
    code, out, err = run(
        *("export", "run", "--onnx", "m.onnx", "--loss", "l.csv", "--weights", "w.csv"),
        *("--rows", "table.csv", "--prior", "yes=0.1,no=0.9"),
    )
    assert code == 0, err
    sentence, *files = out.splitlines()
    assert sentence.startswith("160 rows: decisions equal, largest difference of a logit ")
    assert files == ["l.csv", "w.csv", "m.onnx"]
    assert "-weight[y,g] * log_softmax(" in err
    assert len(pd.read_csv("w.csv")) == 160


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--onnx, --loss or --weights"),
        (("--weights", "w.csv"), "name them with --rows"),
        (("--onnx", "m.onnx", "--prior", "yes=1"), "no share for 'no'"),
        (("--onnx", "table.csv", "--rows", "table.csv"), "holds the data themselves"),
        (("--loss", "l.csv", "--weights", "l.csv", "--rows", "table.csv"), "named twice"),
    ],
)
def test_what_is_refused(run, options, words, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, out, err = run("export", "run", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert sorted(tmp_path.iterdir()) == before


def test_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run("export", "run", "--onnx", "m.onnx")
    assert code == 2
    assert 'pip install "autobalance[onnx]"' in err
