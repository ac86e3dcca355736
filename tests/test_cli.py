"""The command line as a user meets it: what it prints, where, and with which exit code."""

import csv
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autobalance
from autobalance.cli import main
from autobalance.labels import label_text
from autobalance.objectives import OBJECTIVES, Objective


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; fits judge nothing unless they are told to.

    The contest has tests of its own, and would take most of the time of these.
    """
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        if arguments[0] == "fit" and "--verdict" not in arguments:
            arguments = (*arguments, "--verdict", "none")
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(stop.value.code or 0, captured.out, captured.err)

    return call


def frame(rows=80, seed=0):
    rng = np.random.default_rng(seed)
    rare = np.arange(rows) % 4 == 0
    return pd.DataFrame(
        {
            "a": rng.normal(size=rows) + rare,
            "b": rng.normal(size=rows),
            "place": rng.choice(["land", "sea"], rows),
            "y": np.where(rare, 1, 0),
        }
    )


@pytest.fixture
def table(tmp_path):
    frame().to_csv(tmp_path / "table.csv", index=False)
    return "table.csv"


def assert_refused(outcome, *words):
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("autobalance: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


def test_from_fit_to_predict_and_evaluate(run, table, tmp_path):
    fitted = run("fit", table, "--target", "y", "--group", "place", "--out", "run")
    assert fitted.code == 0, fitted.err
    lines = fitted.out.splitlines()
    assert lines[-1] == str(Path("run", "report.html"))
    assert (tmp_path / lines[-1]).is_file()
    assert "AutoBalance" in fitted.out
    assert "There is no verdict" in fitted.out
    assert "Objective: group-balanced (the default with groups)" in fitted.err

    predicted = run("predict", "run", table)
    assert (predicted.code, predicted.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(predicted.out)))
    assert list(rows[0]) == ["prediction", "probability[0]", "probability[1]"]
    assert len(rows) == 80
    written = run("predict", "run", table, "--out", "p.csv")
    assert written.out == "p.csv\n"
    assert (tmp_path / "p.csv").read_text() == predicted.out

    evaluated = run("evaluate", "run", table, "--precision", "0.5", "--out", "e.json")
    assert evaluated.code == 0, evaluated.err
    document = json.loads((tmp_path / "e.json").read_text("utf-8"))
    wrong = np.array([int(row["prediction"]) for row in rows]) != frame().y
    assert document["summary"]["error"]["value"] == pytest.approx(wrong.mean())
    assert f"{100 * wrong.mean():.1f}%" in evaluated.out
    assert "Recall of 1 at 50.0% precision" in evaluated.out
    assert "0 · land" in evaluated.out


def test_the_verdict_is_on_outer_folds_or_an_untouched_part(run, table, tmp_path):
    judged = run("fit", table, "--target", "y", "--cv", "2", "--verdict", "2", "--jobs", "2")
    assert judged.code == 0, judged.err
    assert "Judged on 2 outer folds, 80 examples that no contender had seen" in judged.out
    assert judged.out.count("← kept") == 1
    metrics = json.loads((tmp_path / "autobalance-table" / "metrics.json").read_text("utf-8"))
    assert metrics["basis"] == metrics["verdict"]["basis"] == "outer folds"
    assert metrics["kept"] == metrics["verdict"]["recommended"]
    judged = run("fit", table, "--target", "y", "--cv", "2", "--verdict", "0.25")
    assert "Judged on an untouched part, 20 examples" in judged.out
    assert_refused(run("fit", table, "--target", "y", "--verdict", "often"), "--verdict 'often'")


def test_the_output_folder_is_named_after_the_table(run, table):
    assert run("fit", table, "--target", "y").out.splitlines()[-1] == str(
        Path("autobalance-table", "report.html")
    )


def test_a_second_fit_replaces_the_first(run, table, tmp_path):
    assert run("fit", table, "--target", "y").code == 0
    assert run("fit", table, "--target", "y", "--objective", "error").code == 0
    metrics = json.loads((tmp_path / "autobalance-table" / "metrics.json").read_text("utf-8"))
    assert metrics["objective"] == "error"


def test_archives_need_their_keys(run, tmp_path):
    data = frame()
    np.savez("data.npz", x=data[["a", "b"]], t=data.y, s=np.arange(80) % 5 // 2, g=data.y)
    np.savez("text.npz", x=data[["a", "b"]], t=data.y, g=data.place.to_numpy(str))
    fitted = run(
        *("fit", "data.npz", "--features", "x", "--target", "t", "--split", "s"),
        *("--train-on", "train+validation", "--out", "run"),
    )
    assert fitted.code == 0, fitted.err
    assert "test examples" in fitted.out
    assert run("evaluate", "run", "data.npz").code == 0
    grouped = run(
        *("fit", "text.npz", "--features", "x", "--target", "t", "--group", "g", "--out", "run"),
        *("--objective", "worst-group"),
    )
    assert grouped.code == 0, grouped.err
    assert_refused(run("fit", "data.npz", "--target", "t"), "--features", "'x'")
    assert_refused(run("fit", "data.npz", "--target", "u", "--features", "x"), "'u'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "z"], ["no column 'z'"]),
        (["--target", "y", "--group", "y"], ["as the target and as a group"]),
        (["--target", "y", "--drop", "y"], ["as the target and as left out"]),
        (["--target", "y", "--drop", "nothing"], ["no column 'nothing'"]),
        (["--target", "y", "--split-column", "nothing"], ["no column 'nothing'"]),
        (["--target", "y", "--split-column", "place"], ["split column 'place'", "'land'"]),
        (["--target", "a"], ["'a'", "continuous"]),
        (["--target", "y", "--objective", "balance"], ["'balance' is not one of"]),
        (["--target", "y", "--objective", "worst-group+"], ["worst-group+"]),
        (["--target", "y", "--objective", "equalized-odds"], ["--group"]),
        (["--target", "y", "--positive-class", "2"], ["positive class '2'"]),
        (["--target", "y", "--drop-class", "2"], ["no class '2'"]),
        (["--target", "y", "--drop-class", "1"], ["one class '0'"]),
        (["--target", "y", "--cv", "many"], ["--cv 'many'"]),
        (["--target", "y", "--cv", "1"], ["at least 2 folds"]),
        (["--target", "y", "--cv", "1.5"], ["cv is 1.5"]),
        (["--target", "y", "--parameters", "weight,bias"], ["bias"]),
        (["--target", "y", "--dictionary", "fine"], ["dictionary 'fine'"]),
        (["--target", "y", "--start", "nowhere"], ["start 'nowhere'"]),
        (["--target", "y", "--start", "no.json"], ["no.json"]),
        (["--target", "y", "--features", "x"], ["--features"]),
        (["--target", "y", "--group-as-feature"], ["--group"]),
    ],
)
def test_a_fit_that_cannot_be_is_refused(run, table, tmp_path, arguments, words):
    assert_refused(run("fit", table, *arguments, "--out", "run"), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]


def test_unusable_tables_are_refused(run, tmp_path):
    data = frame()
    files = {
        "semicolons.csv": data.to_csv(sep=";", index=False),
        "empty.csv": "",
        "constant.csv": data.assign(y=1).to_csv(index=False),
        "infinite.csv": data.assign(a=[np.inf, *data.a[1:]]).to_csv(index=False),
        "single.csv": data.assign(y=[7, *data.y[1:]]).to_csv(index=False),
        "gap.csv": data.assign(y=[None, *data.y[1:]]).to_csv(index=False),
        "hole.csv": data[(data.y == 0) | (data.place == "land")].to_csv(index=False),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "noise.parquet").write_bytes(b"\x00\xff" * 99)
    for name, words in {
        "missing.csv": "does not exist",
        "semicolons.csv": "semicolons",
        "empty.csv": "is empty",
        "constant.csv": "one class",
        "infinite.csv": "'a'",
        "single.csv": "--drop-class '7'",
        "gap.csv": "--drop-class missing",
        "hole.csv": "--empty-cells drop",
        "noise.parquet": "cannot read",
        "table.xlsx": ".csv",
    }.items():
        outcome = run("fit", name, "--target", "y", "--group", "place", "--out", "run")
        assert_refused(outcome, words)
        assert not (tmp_path / "run").exists()
    for name, option in {
        "single.csv": ("--drop-class", "7"),
        "gap.csv": ("--drop-class", "missing"),
        "hole.csv": ("--empty-cells", "drop"),
    }.items():
        outcome = run("fit", name, "--target", "y", "--group", "place", "--out", "run", *option)
        assert outcome.code == 0, outcome.err


def test_other_peoples_folders_and_files_are_left_alone(run, table, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("one")
    assert_refused(run("fit", table, "--target", "y", "--out", "thesis"), "will not be replaced")
    assert (folder / "chapter.txt").read_text() == "one"
    assert_refused(run("fit", table, "--target", "y", "--out", table), "is a file")
    assert_refused(run("fit", table, "--target", "y", "--out", "."), "folder you are in")
    before = (tmp_path / table).read_bytes()
    assert run("fit", table, "--target", "y", "--out", "run").code == 0
    assert_refused(run("predict", "run", table, "--out", table), "holds the data themselves")
    assert_refused(run("evaluate", "run", table, "--out", table), "holds the data themselves")
    assert_refused(run("predict", "run", table, "--out", "thesis"), "cannot write")
    assert_refused(run("predict", "run", table, "--out", "no/where.csv"), "cannot write")
    assert (tmp_path / table).read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(run, table, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert_refused(run("fit", table, "--target", "y", "--out", "closed/run"), "permission")


def test_a_full_disk_leaves_nothing_behind(run, table, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    outcome = run("fit", table, "--target", "y", "--out", "run")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith("autobalance: cannot write")
    assert "No space left" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]


def test_an_interrupted_fit_leaves_nothing_behind(run, table, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("autobalance.workbench.Workbench.train", interrupt)
    outcome = run("fit", table, "--target", "y", "--out", "run")
    assert outcome.code not in (0, 2)
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]


def test_folders_that_hold_no_run_are_refused(run, table, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in ("predict", "evaluate"):
        assert_refused(run(command, "nowhere", table), "nowhere is not a folder")
        assert_refused(run(command, "empty", table), "model.json")


def test_unseen_categories_are_a_warning_on_the_error_stream(run, table, tmp_path):
    assert run("fit", table, "--target", "y", "--out", "run").code == 0
    frame().assign(place="air").to_csv("new.csv", index=False)
    outcome = run("predict", "run", "new.csv")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: ")
    assert "'air'" in outcome.err
    assert outcome.out.startswith("prediction,")


def test_wrong_usage_is_refused(run, table):
    for arguments in (
        ["fit", table],
        ["fit", table, "--target", "y", "--train-on", "test"],
        ["fit", table, "--target", "y", "--seed", "-1"],
        ["evaluate", "run", table, "--part", "half"],
        ["guess"],
    ):
        outcome = run(*arguments)
        assert outcome.code == 2
        assert "Traceback" not in outcome.err


def test_version_and_help(run):
    assert run("--version") == (0, f"autobalance {autobalance.__version__}\n", "")
    for command in ("fit", "predict", "evaluate", "demo"):
        outcome = run(command, "--help")
        assert (outcome.code, outcome.err) == (0, "")
        assert "Usage" in outcome.out


def test_verbose_shows_the_log(run, table, monkeypatch):
    logger = logging.getLogger("autobalance")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logger.level)
    outcome = run("fit", table, "--target", "y", "--verbose")
    assert outcome.code == 0
    assert "evaluations" in outcome.err


def test_many_classes_are_cut_short_on_the_screen(run, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 4)
    data = pd.DataFrame(rng.normal(size=(160, 6)) + labels[:, None] % 7, columns=list("abcdef"))
    data.assign(y=labels).to_csv("many.csv", index=False)
    assert run("fit", "many.csv", "--target", "y", "--cv", "2").code == 0
    outcome = run("evaluate", "autobalance-many", "many.csv")
    assert "The 30 worst" in outcome.out


def test_a_process_is_quiet_without_a_terminal(table, tmp_path):
    """As a script would run it: no bar, results on one stream and sentences on the other."""
    done = subprocess.run(
        [sys.executable, "-m", "autobalance", "fit", table, "--target", "y", "--verdict=none"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(Path("autobalance-table", "report.html"))
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
    refused = subprocess.run(
        [sys.executable, "-m", "autobalance", "fit", "no.csv", "--target", "y"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr == "autobalance: no.csv does not exist; check the path\n"


TERMS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(1e-3, 1e3)),
        st.sampled_from([name for name in OBJECTIVES if "class" in name or "error" in name]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=4)
@given(TERMS)
def test_any_sum_of_objectives_is_understood(terms):
    text = " + ".join(name if scale is None else f"{scale!r} * {name}" for scale, name in terms)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        frame(40).to_csv(path, index=False)
        arguments = [
            "fit",
            str(path),
            "--target=y",
            "--cv=2",
            "--verdict=none",
            "--out",
            f"{folder}/run",
        ]
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--parameters", "ridge", "--objective", text])
        assert not stop.value.code
        metrics = json.loads(Path(folder, "run", "metrics.json").read_text("utf-8"))
    assert metrics["objective"] == str(Objective.parse(text))


# Text that means the same to every CSV reader: no edges of space, and no spelling of a number,
# a truth value or a missing one.
TEXT = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)
    .map(lambda text: f"x{text}x".strip())
    .filter(lambda text: "\r" not in text and "\x85" not in text)
)


@settings(max_examples=8)
@given(
    names=st.lists(TEXT, min_size=4, max_size=4, unique=True),
    classes=st.lists(TEXT, min_size=2, max_size=3, unique=True),
    groups=st.lists(TEXT, min_size=2, max_size=2, unique=True),
)
def test_odd_names_and_labels_survive_the_round_trip(names, classes, groups):
    rows = 48
    rng = np.random.default_rng(0)
    y = np.arange(rows) % len(classes)
    target, group, first, second = names
    data = pd.DataFrame(
        {
            first: rng.normal(size=rows) + y,
            target: np.array(classes, dtype=object)[y],
            group: np.array(groups, dtype=object)[np.arange(rows) // 3 % 2],
            second: rng.normal(size=rows),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        data.to_csv(path, index=False)
        fit = ["fit", str(path), f"--target={target}", f"--group={group}", "--cv=2"]
        fit += ["--verdict=none"]
        fit += ["--parameters", "weight,ridge", f"--positive-class={classes[0]}"]
        for arguments in (
            [*fit, "--out", f"{folder}/run"],
            ["predict", f"{folder}/run", str(path), "--out", f"{folder}/p.csv"],
            ["evaluate", f"{folder}/run", str(path), "--out", f"{folder}/e.json"],
        ):
            with pytest.raises(SystemExit) as stop:
                main(arguments)
            assert not stop.value.code
        found = pd.read_csv(f"{folder}/p.csv", dtype=str, keep_default_na=False)
        document = json.loads(Path(folder, "e.json").read_text("utf-8"))
    assert set(found.prediction) <= set(classes)
    assert list(found.columns[1:]) == [f"probability[{text}]" for text in sorted(classes)]
    chosen = found.columns[1:][found.iloc[:, 1:].astype(float).to_numpy().argmax(axis=1)]
    assert list(chosen) == [f"probability[{text}]" for text in found.prediction]
    assert document["classes"] == sorted(classes)
    assert document["groups"] == sorted(groups)
    wrong = (found.prediction.to_numpy() != data[target]).mean()
    assert document["summary"]["error"]["value"] == pytest.approx(wrong)
    assert label_text(document["positive_class"]) == classes[0]


@pytest.mark.data
@pytest.mark.slow
def test_a_real_table(run, data_dir):
    source = data_dir / "tables" / "mammography.csv.gz"
    outcome = run("fit", source, "--target", "malignant", "--parameters", "weight,ridge")
    assert outcome.code == 0, outcome.err
    evaluated = run("evaluate", "autobalance-mammography", source, "--out", "e.json")
    assert evaluated.code == 0
    document = json.loads(Path("e.json").read_text("utf-8"))
    assert document["examples"] == [[10923], [260]]
    assert document["summary"]["balanced"]["value"] < 0.2
