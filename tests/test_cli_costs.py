"""Costs on the command line: from a file of them to the report, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from autobalance.costs import Costs
from autobalance.runs.folder import SavedModel

CLASSES = ["9", "10", "eel"]
MATRIX = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 6.0], [30.0, 4.0, 0.0]])
ON_PAGE = ("Mean cost, outer folds", "Costs by class", "units of cost", "decision rule")


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Run the command line in a folder with a table and a file of costs, in another order."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [70, 40, 24])
    features = rng.normal(size=(len(y), 3)) + 1.2 * np.eye(3)[y]
    table = pd.DataFrame(features, columns=list("abc")).assign(kind=np.array(CLASSES)[y])
    table.to_csv("table.csv", index=False)
    order = [2, 0, 1]
    names = [CLASSES[k] for k in order]
    pd.DataFrame(MATRIX[np.ix_(order, order)], names, names).to_csv("costs.csv")

    return command


def fit(*arguments):
    return ("fit", "table.csv", "--target", "kind", "--cv", "2", "--out", "run", *arguments)


def read(path):
    return json.loads(path.read_text("utf-8"))


def test_from_costs_to_report_and_evaluation(run, tmp_path):
    code, out, _ = run(*fit("--costs", "costs.csv", "--verdict", "2", "--parameters", "additive"))
    assert code == 0
    assert out.startswith("Mean cost, outer folds")
    for words in ("Cost weights", "lowest cost", "deciding for the least expected cost"):
        assert words in out, words
    costs, folder = Costs.load("costs.csv"), tmp_path / "run"
    metrics = read(folder / "metrics.json")
    assert metrics["objective"] == "cost"
    assert Costs.from_json(metrics["costs"]) == costs
    assert SavedModel.read(folder).objective.costs == costs
    assert Costs.from_json(read(folder / "design.json")["metadata"]["costs"]) == costs
    method, counts = metrics["methods"][0], np.array(metrics["data"]["counts"])[:, 0]
    assert method["value"] == pytest.approx(counts @ method["class_costs"] / counts.sum())
    page = (folder / "report.html").read_text("utf-8")
    for words in ON_PAGE:
        assert words in page, words

    code, out, _ = run("evaluate", "run", "table.csv", "--out", "evaluation.json")
    assert code == 0
    assert "Mean cost" in out
    run("predict", "run", "table.csv", "--out", "predicted.csv")
    decided, true = (
        pd.read_csv(file, dtype=str)[column].map(CLASSES.index)
        for file, column in (("predicted.csv", "prediction"), ("table.csv", "kind"))
    )
    expected = MATRIX[true, decided].mean()
    assert read(tmp_path / "evaluation.json")["value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--objective", "cost"), "needs what decisions cost"),
        (("--objective", "balanced", "--costs", "costs.csv"), "does not look at them"),
        (("--objective", "cost+error", "--costs", "costs.csv"), "no common unit"),
        (("--costs", "none.csv"), "cannot read the costs none.csv"),
        (("--costs", "other.csv"), "no costs for class 'eel'"),
        (("--costs", "costs.csv", "--constraint", "error<=0.3"), "limits on error rates cannot"),
        (("--start", "cost-weighted"), "takes the costs of decisions"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run, tmp_path, arguments, words):
    (tmp_path / "other.csv").write_text(",9,10\n9,0,1\n10,2,0\n", "utf-8")
    code, out, err = run(*fit(*arguments))
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("autobalance: ")
    assert words in last
    assert not (tmp_path / "run").exists()
