"""Files that earlier versions wrote still load, and mean what they meant.

Each folder of ``old`` is named by the day of the version that wrote it, with the command line or
``search_and_retrain``; what that version made of it lies beside it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from autobalance import (
    ArtifactError,
    LossDesign,
    ParametricCrossEntropy,
    SearchPlan,
    TrainingSettings,
    search_and_retrain,
)
from autobalance.cli import main
from autobalance.training.checkpoint import Checkpoints

OLD = Path(__file__).with_name("old")
TABLES = sorted(OLD.glob("*-table"))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    assert not stopped.value.code, printed.err
    return printed.out


@pytest.mark.parametrize("folder", TABLES, ids=lambda path: path.name)
def test_a_design_is_the_loss_that_it_was(folder):
    design = LossDesign.load(folder / "design.json")
    document = json.loads((folder / "design.json").read_text(encoding="utf-8"))
    assert design.counts.classes == ("common", "rare")
    assert design.counts.groups == ("north", "south")
    assert np.array_equal(design.weight, np.broadcast_to(document["weight"], (2, 2)))
    assert np.array_equal(design.additive, np.broadcast_to(document["additive"], (2, 2)))
    loss = ParametricCrossEntropy.from_design(design, dtype=torch.float64)
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    w, l, d = design.weight[1, 0], design.additive[:, 0], design.multiplicative[:, 0]
    a = d * z[0].numpy() + l
    expected = -w * (a[1] - np.logaddexp(*a))
    assert float(loss(z, torch.tensor([1]), torch.tensor([0]))) == pytest.approx(expected)


@pytest.mark.parametrize("folder", TABLES, ids=lambda path: path.name)
def test_a_model_predicts_what_it_did(folder, tmp_path, capsys):
    run(capsys, "predict", folder, OLD / "table.csv", "--out", tmp_path / "now.csv")
    then, now = (pd.read_csv(path) for path in (folder / "predictions.csv", tmp_path / "now.csv"))
    assert list(now.columns) == list(then.columns)
    for name in then:
        if pd.api.types.is_numeric_dtype(then[name]):
            assert now[name].to_numpy() == pytest.approx(then[name].to_numpy(), abs=1e-6)
        else:
            assert now[name].equals(then[name])


@pytest.mark.slow
def test_a_run_is_reported_evaluated_and_compared(tmp_path, capsys):
    first, last = TABLES
    copy = shutil.copytree(last, tmp_path / "run")
    assert "report.html" in run(capsys, "report", copy)
    run(capsys, "compare", copy, last, "--out", tmp_path / "compared.html")
    assert (tmp_path / "compared.html").exists()
    for folder in (first, last):
        assert "worst" in run(capsys, "evaluate", folder, OLD / "table.csv").lower()


def test_figures_of_the_first_version_cannot_be_reported_again_and_that_is_said(tmp_path, capsys):
    """They were no paired intervals yet; design and model serve as before."""
    copy = shutil.copytree(TABLES[0], tmp_path / "run")
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(copy)])
    assert stopped.value.code == 2
    assert "metrics.json has version 1" in capsys.readouterr().err


def make_model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def goes_on(folder):
    random = np.random.default_rng(0)
    y = (random.random(160) < 0.25).astype(int)
    x = random.normal(size=(160, 3)) + y[:, None] * np.array([1.5, 0, 0.5])
    return search_and_retrain(
        make_model,
        (x, y),
        "balanced",
        parameters=("additive",),
        training=TrainingSettings(epochs=4, batch_size=40, learning_rate=0.1),
        plan=SearchPlan(warm_up=0.25, held_out=0.25),
        device="cpu",
        checkpoints=folder,
    )


def test_a_training_goes_on_from_an_earlier_version_s_checkpoints(tmp_path):
    """Search done, retraining half done: it ends as that version's own did."""
    folder = shutil.copytree(OLD / "2026-11-28-network", tmp_path / "run")
    found = goes_on(folder)
    ended = json.loads((folder / "ended.json").read_text(encoding="utf-8"))
    assert found.design.additive == pytest.approx(np.array(ended["additive"]), abs=1e-6)
    for parameter, value in zip(found.model.parameters(), ended["weights"], strict=True):
        assert parameter.detach().numpy() == pytest.approx(np.array(value), abs=1e-5)


def test_a_checkpoint_that_cannot_be_gone_on_with_is_read_and_refused_in_one_sentence(tmp_path):
    """Its version drew batches in another order, so that a resumed run would be neither's."""
    folder = shutil.copytree(OLD / "2026-11-25-network", tmp_path / "run")
    number, state = Checkpoints(folder / "search").load()
    assert number == 4
    assert {"model", "optimizer", "search"} <= state.keys()
    with pytest.raises(ArtifactError, match="another choice of training examples; give a new"):
        goes_on(folder)
