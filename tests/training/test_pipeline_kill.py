"""A run that is killed and resumed ends bit for bit as one that was left alone."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import Dataset

from autobalance.training.checkpoint import encode_state
from autobalance.training.pipeline import search_and_retrain
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

PARTS = ("search", "retraining")
EPOCHS = 3


class NoisyPoints(Dataset):
    """Points of two classes and two groups, anew at each look from NumPy's and Python's streams."""

    def __len__(self):
        return 90

    def __getitem__(self, position):
        label, group = int(position % 3 == 0), "ab"[position % 5 == 0]
        noise = np.random.standard_normal(4).astype(np.float32)  # noqa: NPY002
        return noise + label + random.random(), label, group


def points():
    y = torch.tensor([0] * 60 + [1] * 20 + [2] * 10)
    x = torch.randn(len(y), 4, generator=torch.Generator().manual_seed(0))
    return x + y[:, None], y


def network(n_classes):
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_classes)
    )


def run(kind, folder, progress=None):
    common = {
        "plan": SearchPlan(warm_up=0.4, moves=11, batch_size=12),
        "device": "cpu",
        "checkpoints": folder,
        "progress": progress,
    }
    if kind == "SGD":
        return search_and_retrain(
            lambda: network(3),
            points(),
            "balanced",
            test_data=points(),
            training=TrainingSettings(EPOCHS, batch_size=3, warm_up_epochs=1.0),
            **common,
        )
    return search_and_retrain(
        lambda: network(2),
        NoisyPoints(),
        "0.5*error+0.5*worst-group",
        parameters=("weight", "additive", "ridge"),
        training=TrainingSettings(
            EPOCHS,
            batch_size=3,
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
            scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2),
        ),
        **common,
    )


def outcome(result):
    """Everything but the time it took, as bytes."""
    design = result.design
    moves = [
        [
            [value.tolist() if isinstance(value, np.ndarray) else value for value in entry.values()]
            for entry in (vars(move) | {"record": None}, vars(move.record) | {"seconds": None})
        ]
        for move in result.moves
    ]
    return encode_state(
        {
            "weights": result.model.state_dict(),
            "design": [design.to_json(), design.weight.tolist()],
            "moves": moves,
            "epochs": [[vars(epoch) for epoch in result.epochs[part]] for part in PARTS],
            "held out": [result.held_out_rows.tolist(), torch.from_numpy(result.held_out_logits)],
            "test": None if result.evaluation is None else result.evaluation.objective.value,
        }
    )


def run_and_keep(kind, folder, kept):
    """Called in a process of its own."""
    Path(kept).write_bytes(outcome(run(kind, folder)))


def tables_in(folder):
    """The course of a run as it lies on disk."""
    return {path.name: path.read_text("utf-8") for path in Path(folder).glob("*.csv")}


def warm_up():
    """Load, before forking, what PyTorch loads on first use."""
    torch.optim.AdamW(network(2).parameters())
    torch.func.jvp(torch.relu, (torch.zeros(2),), (torch.ones(2),))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The checkpoints of a run that was left alone, and what it ended with."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, outcome(run("SGD", folder))


def test_without_checkpoints_it_is_the_same(finished):
    result = run("SGD", None)
    assert outcome(result) == finished[1]
    assert sum(not move.refused for move in result.moves) >= 8  # so that much can go wrong


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moments"), [("SGD", 14), ("AdamW", 6)])
def test_killed_at_twenty_moments_and_resumed(tmp_path, nursery, kind, moments):
    kept = tmp_path / "kept"
    steps = nursery.complete(run_and_keep, kind, str(tmp_path / "alone"), str(kept))
    expected, tables = kept.read_bytes(), tables_in(tmp_path / "alone")
    assert {"search.csv", "retraining.csv", "moves.csv"} <= set(tables)
    chosen = random.Random(0)
    reached = set()
    kills = runs = 0
    while kills < moments:
        folder, kept = tmp_path / f"run{runs}", tmp_path / f"kept{runs}"
        if nursery.kill(chosen.randrange(1, steps), run_and_keep, kind, str(folder), str(kept)):
            kills += 1
            reached |= {path.name for path in folder.glob("*") if path.is_dir()}
        else:  # it ended before: the next one starts afresh
            runs += 1
            assert kept.read_bytes() == expected
            assert tables_in(folder) == tables
    nursery.complete(run_and_keep, kind, str(folder), str(kept))
    assert kept.read_bytes() == expected
    assert tables_in(folder) == tables  # no line twice, and none is missing
    assert reached == {*PARTS}


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, finished):
    folder, expected = shutil.copytree(finished[0], tmp_path / "run"), finished[1]
    for part in PARTS:
        newest = folder / part / f"checkpoint-{EPOCHS:06d}.checkpoint"
        newest.write_bytes(newest.read_bytes()[:-1])
    trained = []
    with pytest.warns(UserWarning, match="training continues from checkpoint 2 in") as warned:
        result = run("SGD", folder, lambda part, epoch: trained.append((part, epoch.number)))
    assert len(warned) == 2
    assert trained == [("search", EPOCHS), ("retraining", EPOCHS)]
    assert outcome(result) == expected


def test_what_is_finished_is_not_trained_again(tmp_path, finished):
    folder, expected = shutil.copytree(finished[0], tmp_path / "run"), finished[1]
    trained = []
    steps = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        assert outcome(run("SGD", folder, lambda *each: trained.append(each))) == expected
    finally:
        hook.remove()
    assert trained == steps == []
    shutil.rmtree(folder / "retraining")
    result = run("SGD", folder, lambda part, _: trained.append(part))
    assert outcome(result) == expected
    assert trained == ["retraining"] * EPOCHS
