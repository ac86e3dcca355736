"""Argument lists of every command that nobody should give: one line on the error stream, code 2.

What may take long is replaced by a refusal: training, the runs of a reproduction, the tuning of a
correction.
"""

import contextlib
import functools
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from autobalance.errors import DataError
from autobalance.reproduce import catalogue
from tests.odd_inputs.commands import BEGINS, call, ended_well, small_frame
from tests.odd_inputs.kit import USED

LINK, LOOP = "nowhere.csv", "loop"
PATHS = (
    *(
        "table.csv",
        "run",
        "missing.csv",
        "missing",
        ".",
        "..",
        "",
        " ",
        "/",
        "/dev/null",
        "run/model.json",
    ),
    *(
        "table.csv/inside",
        "run/design.json",
        "other.txt",
        "empty.csv",
        "empty",
        LINK,
        LOOP,
        "~",
        "-",
    ),
    *(
        "a" * 300,
        "a" * 300 + ".csv",
        "é.csv",
        "x\udcff.csv",
        "new/deep/out",
        "new.html",
        "new.onnx",
    ),
    *("run/new", "run/metrics.json", "scores.csv", "images", "/proc/self/x", "new\nline.csv", "*"),
)
NUMBERS = (
    *(
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "1.5",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "",
        " ",
        "x",
        "5" * 30,
        "²",
        "５",
    ),
    *("0.2", "1e-9", "None", "true", "3,4", "0x10"),
)
WORDS = (
    *(
        "",
        " ",
        "y",
        "place",
        "part",
        "a",
        "b",
        "nothing",
        "Y",
        "é",
        "x\udcff",
        "yes",
        "no",
        "a,b",
        "=",
        "\n",
    ),
    *("none", "auto", "None", "a" * 300, "--", "-x", "[]", "{0}", "%s"),
)
OBJECTIVES = (
    *(
        "error",
        "balanced",
        "balance",
        "Balanced",
        "worst-group",
        "equalized-odds",
        "equal-opportunity",
    ),
    *(
        "cost",
        "0.5*error+balanced",
        "0*error",
        "error+",
        "+",
        "1e999*error",
        "-1*error",
        "error-balanced",
    ),
    *("calibration", "error<=0.3", "error <= x", "cost<=1", "nan*error", ""),
)
NAMED = {
    "--parameters": (
        "weight",
        "weight,additive",
        "bias",
        "",
        ",",
        "weight,weight",
        "ridge",
        "emphasis",
        "auto,ridge",
        "magnitude",
    ),
    "--dictionary": (
        "class",
        "fine",
        "cluster:3",
        "cluster:0",
        "cluster:",
        "cluster:-1",
        "rank:1",
        "rank:x",
        "log-prior",
        "cell",
        "auto",
        "cluster:9999999999999999999",
    ),
    "--start": (
        "auto",
        "balanced",
        "la",
        "nowhere",
        "run/design.json",
        "missing.json",
        ".json",
        "other.json",
        "cdt",
        "run",
    ),
    "--model": (
        "mlp",
        "linear",
        "resnet20",
        "MLP",
        "os:system",
        "os:",
        ":x",
        "no.such:thing",
        "a b:c",
        "json:loads",
        "..:x",
        "os.path:join",
        "subprocess",
    ),
    "--augmentation": ("none", "ball", "personal", "one", "cluster:2", "balls", ""),
    "--empty-cells": ("error", "drop", "keep", ""),
    "--train-on": ("train", "train+validation", "test", "train+test", ""),
    "--kind": ("vector-scaling", "bias", "prior", "scaling", ""),
    "--part": ("train", "test", "all", "validation", "none"),
    "--prior": (
        "train",
        "balanced",
        "yes=0.1,no=0.9",
        "yes=1",
        "yes=x,no=1",
        "yes=-1,no=2",
        "yes=nan,no=1",
        "=",
        ",",
        "no=0,yes=0",
        "yes=1,yes=1,no=1",
    ),
    "--track": (
        "csv:",
        "csv:table.csv",
        "csv:table.csv/x",
        "tensorboard:",
        "mlflow:",
        "mlflow:foo://bar",
        "wandb:x",
        "",
        ":",
    ),
    "--classes": ("no,yes", "yes", "yes,no", "", ",", "a,b"),
    "--preset": ("paper", "authors-code", "papers", ""),
    "--dataset": ("cifar10-lt", "waterbirds", "mnist", ""),
    "--methods": ("ce", "nothing", "", ","),
    "--device": ("cpu", "cuda", "cuda:99", "tpu", "", "meta"),
    "--backbone": (
        "resnet18",
        "timm:nothing",
        "timm:",
        "nothing",
        "os:getcwd",
        "x:y",
        "tests.odd_inputs.kit:refusal",
        "",
    ),
    "--cluster": ("x", "", "foo://bar", "tcp://"),
    "--objective": OBJECTIVES,
    "--constraint": (
        "error<=0.3",
        "error<=nan",
        "error",
        "<=",
        "error<=-1",
        "cost<=1",
        "worst<=0.1",
    ),
    "--jobs": ("0", "1", "-1", "x", "", "1.5"),
}
PATH_OPTIONS = ("--out", "--costs", "--weights", "--onnx", "--loss", "--rows", "--data-dir")
NUMBER_OPTIONS = (
    *("--cv", "--verdict", "--seed", "--image-size", "--epochs", "--batch-size", "--learning-rate"),
    *("--weight-decay", "--precision", "--seeds"),
)
WORD_OPTIONS = (
    *("--target", "--group", "--drop", "--drop-class", "--split-column", "--features"),
    *("--positive-class", "--scores"),
)
FLAGS = (
    "--group-as-feature",
    "--resume",
    "--no-augment",
    "--by-group",
    "--verbose",
    "--help",
    "--version",
)
UNKNOWN = ("--what", "-z", "--objectiv", "--out=", "--seed=x", "--", "-", "---", "--no-resume")
FIT = ["fit", "table.csv", "--target", "y", "--verdict", "none", "--cv", "2"]
VALID = (
    *([FIT] * 4),
    ["predict", "run", "table.csv"],
    ["evaluate", "run", "table.csv"],
    ["compare", "run", "run2"],
    ["report", "run"],
    ["embed", "images", "--backbone", "resnet18"],
    ["export", "run", "--loss", "loss.csv"],
    ["posthoc", "scores.csv", "--target", "y"],
    ["reproduce", "table3"],
    ["reproduce", "lemma1"],
    ["demo"],
)
OF_COMMANDS = {
    "fit": (
        *WORD_OPTIONS[:-1],
        *NUMBER_OPTIONS[:-2],
        "--objective",
        "--parameters",
        "--dictionary",
        "--start",
        "--constraint",
        "--model",
        "--augmentation",
        "--empty-cells",
        "--train-on",
        "--track",
        "--costs",
        "--out",
        "--jobs",
        "--group-as-feature",
        "--resume",
        "--no-augment",
    ),
    "predict": ("--out", "--features", "--prior", "--model"),
    "evaluate": (
        "--target",
        "--features",
        "--drop-class",
        "--part",
        "--precision",
        "--out",
        "--seed",
        "--model",
    ),
    "compare": ("--out",),
    "report": (),
    "embed": (
        "--backbone",
        "--weights",
        "--target",
        "--group",
        "--split-column",
        "--image-size",
        "--batch-size",
        "--device",
        "--out",
    ),
    "export": ("--onnx", "--loss", "--weights", "--rows", "--features", "--prior", "--model"),
    "posthoc": (
        "--target",
        "--group",
        "--split-column",
        "--objective",
        "--kind",
        "--by-group",
        "--prior",
        "--scores",
        "--classes",
        "--positive-class",
        "--out",
        "--seed",
    ),
    "reproduce": (
        "--data-dir",
        "--dataset",
        "--methods",
        "--seeds",
        "--epochs",
        "--model",
        "--preset",
        "--device",
        "--jobs",
        "--out",
    ),
    "demo": ("--out", "--jobs"),
}
"""What each command takes; now and then it is given what another takes."""


def refuse(*_, **__):
    raise DataError(BEGINS)


def refuse_with_space(bench, space, *_, **__):
    space(bench)
    raise DataError(BEGINS)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A folder with a table, scores, two runs and things that are none."""
    folder = tmp_path_factory.mktemp("ready")
    frame = small_frame()
    frame.to_csv(folder / "table.csv", index=False)
    scores = frame[["y", "place"]].assign(**{"probability[no]": 0.5 - frame.a / 20})
    scores["probability[yes]"] = 1 - scores["probability[no]"]
    scores.to_csv(folder / "scores.csv", index=False)
    (folder / "other.txt").write_text("text")
    (folder / "other.json").write_text("[1]")
    (folder / "empty.csv").write_text("")
    (folder / "empty").mkdir()
    (folder / "images" / "gull").mkdir(parents=True)
    (folder / "images" / "gull" / "1.png").write_bytes(b"no picture")
    (folder / LINK).symlink_to("not there")
    (folder / LOOP).symlink_to(LOOP)
    with contextlib.chdir(folder):
        code, _, err = call([*FIT, "--group", "place", "--out", "run"])
    assert code == 0, err
    shutil.copytree(folder / "run", folder / "run2")
    return folder


def odd_arguments(rng):
    """Arguments of a command with one to three things wrong, or odd."""
    arguments = list(rng.choice(VALID))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = range(1, len(arguments))
        match rng.randrange(12):
            case 0 if places:
                del arguments[rng.choice(places)]
            case 1:
                arguments.insert(rng.randrange(len(arguments) + 1), rng.choice((*UNKNOWN, *FLAGS)))
            case 2 | 3 if places:
                place = rng.choice(places)
                arguments[place] = rng.choice((*PATHS, *WORDS, *NUMBERS))
            case 4 if places and not arguments[1].startswith("-"):
                arguments[1] = rng.choice(PATHS)
            case 5:
                arguments += option(
                    rng, rng.choice((*NAMED, *PATH_OPTIONS, *NUMBER_OPTIONS, *WORD_OPTIONS))
                )
            case _ if arguments and OF_COMMANDS.get(arguments[0]):
                arguments += option(rng, rng.choice(OF_COMMANDS[arguments[0]]))
    return arguments


def option(rng, name):
    if name in FLAGS:
        return [name]
    if name in NAMED:
        odd = NAMED[name]
    elif name in PATH_OPTIONS:
        odd = PATHS
    else:
        odd = NUMBERS if name in NUMBER_OPTIONS else WORDS
    return [name, rng.choice(odd) if rng.random() < 0.9 else rng.choice((*WORDS, *NUMBERS))]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_argument_lists(tried, ready, tmp_path, monkeypatch):
    monkeypatch.setattr("autobalance.contest.recommend.train_all", refuse_with_space)
    monkeypatch.setattr("autobalance.contest.recommend.predict_left_out", refuse)
    stopped = {name: replace(each, run=refuse) for name, each in catalogue.CATALOGUE.items()}
    monkeypatch.setattr(catalogue, "CATALOGUE", stopped)
    monkeypatch.setattr("autobalance.reproduce.everything.CATALOGUE", stopped)
    monkeypatch.setattr("autobalance.jobs._TIMEOUT", "0.05s")
    monkeypatch.setattr("autobalance.runs.report.render_report", lambda *_: "page")
    monkeypatch.setattr("autobalance.runs.posthoc.render_posthoc", lambda *_: "page")
    monkeypatch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    work = tmp_path / "work"
    shutil.copytree(ready, work, symlinks=True)
    monkeypatch.chdir(work)
    before = contents(work)

    def case(rng):
        arguments = odd_arguments(rng)
        ended = ended_well(*call(arguments))
        new = contents(work) ^ before
        if new:
            # of several files to export, those before the one that is refused are whole
            assert ended == USED or {name.split()[0] for name in new} == {"loss.csv"}, arguments
            monkeypatch.chdir(tmp_path)
            shutil.rmtree(work)
            shutil.copytree(ready, work, symlinks=True)
            monkeypatch.chdir(work)
        assert contents(tmp_path, 1) == {"work"}, arguments
        return ended

    tried("argument lists", case)


def contents(folder: Path, depth: int = 3):
    """Names of all that is in a folder, with the sizes of files."""
    found = set()
    for path in folder.rglob("*") if depth > 1 else folder.iterdir():
        name = str(path.relative_to(folder))
        size = path.stat().st_size if path.is_file() and not path.is_symlink() else ""
        found.add(f"{name} {size}".strip())
    return found
