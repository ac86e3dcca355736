"""``autobalance fit --model``: from a table to a network, its report, and a fit that is resumed."""

import json

import numpy as np
import pandas as pd
import pytest

QUICK = ("--epochs", "3", "--batch-size", "32", "--learning-rate", "0.05", "--verdict", "none")


@pytest.fixture
def run(command_on_one_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rare = np.arange(160) % 4 == 0
    pd.DataFrame(
        {
            "a": rng.normal(size=160) + rare,
            "b": rng.choice(["red", "blue"], 160),
            "place": rng.choice(["land", "sea"], 160),
            "y": np.where(rare, 1, 0),
        }
    ).to_csv("table.csv", index=False)

    return command_on_one_line


def fit(run, *arguments):
    return run("fit", "table.csv", "--target", "y", "--out", "out", *QUICK, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "linear"])
def test_from_fit_to_predict_and_evaluate(run, tmp_path, model):
    code, out, _ = fit(run, "--model", model, "--group", "place")
    assert code == 0
    assert out.splitlines()[-1] == "out/report.html"
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["settings"]["model"] == model
    assert metrics["settings"]["epochs"] == 3
    assert metrics["space"]["parameters"] == ["additive", "multiplicative"]
    assert {"AutoBalance", "Group-VS"} <= {method["name"] for method in metrics["methods"]}
    assert not (tmp_path / "out.checkpoints").exists()
    code, predictions, _ = run("predict", "out", "table.csv", "--prior", "train")
    assert code == 0
    assert len(predictions.splitlines()) == 161
    code, _, _ = run("evaluate", "out", "table.csv", "--out", "errors.json")
    assert code == 0
    code, out, _ = run("report", "out")
    assert (code, out) == (0, "out/report.html\n")


@pytest.mark.slow
def test_a_verdict_judges_networks_too(run, tmp_path):
    code, _, _ = fit(run, "--model", "linear", "--verdict", "0.3")
    assert code == 0
    verdict = json.loads((tmp_path / "out/metrics.json").read_text())["verdict"]
    assert verdict["basis"] == "untouched part"


@pytest.mark.slow
def test_a_network_of_ones_own_is_run_on_ones_word_only(run, tmp_path):
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n"
        "def small(shape, n_classes):\n"
        "    return nn.Sequential(nn.Linear(shape[0], 4), nn.Tanh(), nn.Linear(4, n_classes))\n"
    )
    path = "own_networks:small"
    assert fit(run, "--model", path)[0] == 0
    code, _, err = run("predict", "out", "table.csv")
    assert code == 2
    assert "own_networks:small" in err
    assert "--model" in err
    assert run("predict", "out", "table.csv", "--model", path)[0] == 0
    assert run("evaluate", "out", "table.csv", "--part", "all", "--model", path)[0] == 0


@pytest.mark.slow
def test_an_interrupted_fit_is_resumed_to_the_same_model(run, tmp_path, monkeypatch):
    assert fit(run, "--model", "mlp")[0] == 0
    expected = (tmp_path / "out/model.safetensors").read_bytes()
    design = json.loads((tmp_path / "out/design.json").read_text())["additive"]
    from autobalance.training.loop import Training

    epoch, seen = Training._epoch, []

    def interrupted(self, number):
        seen.append(number)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return epoch(self, number)

    (tmp_path / "out/metrics.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", interrupted)
        code, _, err = run(
            "fit", "table.csv", "--target", "y", "--out", "again", *QUICK, "--model", "mlp"
        )
    assert code == 130
    assert "--resume" in err
    arguments = ("fit", "table.csv", "--target", "y", "--out", "again", *QUICK, "--model", "mlp")
    code, _, err = run(*arguments)
    assert code == 2
    assert "add --resume" in err
    assert run(*arguments, "--resume")[0] == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == expected
    assert json.loads((tmp_path / "again/design.json").read_text())["additive"] == design


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "forest"), "no model 'forest'"),
        (("--resume",), "--model"),
        (("--model", "mlp", "--constraint", "error<=0.5"), "constraints"),
        (("--model", "resnet32"), "images"),
        (("--model", "mlp", "--learning-rate", "-1"), "learning_rate"),
    ],
)
def test_what_a_network_cannot_do_is_refused(run, tmp_path, arguments, words):
    code, _, err = fit(run, *arguments)
    assert code == 2
    assert words in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.checkpoints").exists()


def test_a_learning_rate_that_diverges_is_said_in_one_sentence(run):
    code, _, err = fit(run, "--model", "mlp", "--learning-rate", "1e9")
    assert code == 2
    assert "lower the learning rate" in err
