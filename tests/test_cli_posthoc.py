"""``autobalance posthoc``: from the scores of any model to a correction and its page."""

import json

import numpy as np
import pandas as pd
import pytest

from autobalance.posthoc import PosthocCorrection


@pytest.fixture
def run(command_on_one_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.choice(["no", "yes"], 600, p=[0.8, 0.2])
    logits = rng.normal(size=(600, 2)) + np.array([1.5, -1.5]) + 1.5 * np.eye(2)[1 * (y == "yes")]
    part = np.array(["train", "validation", "test"] * 200)
    np.savez("scores.npz", logits=logits, y=y, place=np.arange(600) % 7 % 2, part=part)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    pd.DataFrame({"y": y, "probability[yes]": p[:, 1], "probability[no]": p[:, 0]}).to_csv(
        "scores.csv", index=False
    )

    return command_on_one_line


def test_from_an_archive_to_a_page(run, tmp_path):
    code, out, err = run(
        *("posthoc", "scores.npz", "--target", "y", "--group", "place", "--split", "part"),
        *("--objective", "worst-group", "--by-group", "--out", "fixed"),
    )
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("Worst-group error ")
    assert "measured on the same rows before and after" in lines[1]
    assert lines[-2:] == ["fixed/posthoc.json", "fixed/report.html"]
    correction = PosthocCorrection.load("fixed/posthoc.json")
    assert (correction.by_group, correction.metadata["objective"]) == (True, "worst-group")
    assert json.loads((tmp_path / "fixed" / "metrics.json").read_text())["basis"] == "test split"


def test_from_a_table_without_a_split_and_again(run, tmp_path):
    for _ in range(2):  # the folder of the first is replaced
        code, _, err = run("posthoc", "scores.csv", "--target", "y", "--kind", "bias")
        assert code == 0, err
    metrics = json.loads((tmp_path / "autobalance-posthoc" / "metrics.json").read_text())
    assert (metrics["basis"], metrics["scores"]) == ("cross-fitted", "probabilities")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--objective", "fair"), "'fair' is not one of"),
        (("--by-group",), "name their column with --group"),
        (("--scores", "z"), "no array 'z'"),
        (("--classes", "yes"), "--classes"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(run, options, words, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, out, err = run("posthoc", "scores.npz", "--target", "y", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert sorted(tmp_path.iterdir()) == before


def test_the_folder_of_a_fit_is_left_alone(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text('{"format": "autobalance-metrics"}')
    code, _, err = run("posthoc", "scores.npz", "--target", "y", "--out", "run")
    assert code == 2
    assert "will not be replaced" in err
