"""The examples run as they stand, without a download, and print what they promise."""

import difflib
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import LinearLR

from autobalance import (
    Counts,
    OnlineSearch,
    OnlineSettings,
    ParametricCrossEntropy,
    preset,
)

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "digits")
NEEDS = {
    "with_lightning": "autobalance.integrations.lightning",
    "with_skorch": "autobalance.integrations.skorch",
    "with_transformers": "autobalance.integrations.huggingface",
}


@pytest.fixture
def load(monkeypatch):
    """An example, as Python runs it: its folder comes first on the path."""
    monkeypatch.syspath_prepend(FOLDER)

    def loaded(name: str) -> ModuleType:
        if name in NEEDS:
            pytest.importorskip(NEEDS[name], exc_type=ImportError)
        return importlib.import_module(name)

    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_compares_losses_on_test_data(name, load):
    assert callable(load(name).main)
    strict = [] if name in NEEDS else ["-W", "error"]  # other libraries warn of what is theirs
    run = subprocess.run(
        [sys.executable, *strict, FOLDER / f"{name}.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    errors = [float(error) for error in re.findall(r"balanced test error ([0-9.]+) %", run.stdout)]
    assert len(errors) in (2, 3)
    assert max(errors) < 40


def test_a_search_is_less_than_ten_lines_more(load):
    plain = load("plain_pytorch")
    loops = [_code(loop) for loop in (plain.train, plain.train_and_search)]
    changes = list(difflib.ndiff(*loops))
    more = [line for line in changes if line.startswith("+ ")]
    gone = [line for line in changes if line.startswith("- ")]
    assert len(more) < 10, more
    assert len(gone) <= 1  # what is returned


def _code(function) -> list[str]:
    """Lines of the body, without docstring."""
    lines = inspect.getsource(function).splitlines()
    begin = next(at for at, line in enumerate(lines) if line.endswith('"""'))
    return lines[begin + 1 :]


@pytest.fixture
def reference(load):
    """The moves and losses of the plain loop on the digits, and what it was given."""
    plain, data = load("plain_pytorch"), load("digits").load()
    start = preset("logit-adjustment", data.counts)
    search, losses = plain.train_and_search(data.train, start, data.held_out)
    return plain, data, start, search, torch.stack(losses).numpy()


def _same(search, losses, reference) -> None:
    *_, expected, values = reference
    assert np.asarray(losses) == pytest.approx(values, abs=1e-6)
    assert len(expected.history) > 1
    moves = [[move.alpha for move in each.history] for each in (search, expected)]
    assert np.array(moves[0]) == pytest.approx(np.array(moves[1]), abs=1e-6)


def test_lightning_trains_and_moves_as_the_plain_loop_does(load, reference):
    example = load("with_lightning")
    from lightning.pytorch import Callback

    plain, data, start, *_ = reference
    losses: list[float] = []

    class Losses(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, place) -> None:
            losses.append(float(outputs["loss"]))

    module = example.Classifier(start)
    search = example.SearchCallback(module.loss, "balanced", data.held_out, settings=plain.SETTINGS)
    example.train(module, data.train, search, Losses())
    _same(search.search, losses, reference)


def test_skorch_trains_and_moves_as_the_plain_loop_does(load, reference):
    example = load("with_skorch")
    plain, data, start, *_ = reference
    search = example.SearchCallback("balanced", data.held_out.tensors, {"settings": plain.SETTINGS})
    net = example.a_net(start, search).fit(*data.train.tensors)
    losses = np.ravel(net.history[:, "batches", :, "train_loss"])
    _same(search.beside_.search, losses, reference)


class _Watched(list):
    """Items that note the positions that are read, in order."""

    def __init__(self, items) -> None:
        super().__init__(items)
        self.read: list[int] = []

    def __getitem__(self, position):
        self.read.append(position)
        return super().__getitem__(position)


def test_transformers_trains_and_moves_as_a_plain_loop_does(load, tmp_path):
    """AdamW at a rate that falls to 0, clipped gradients, and steps of two batches, by hand."""
    example = load("with_transformers")
    texts = example.texts([80, 40, 20, 10, 5], 1)
    held_out = example.texts([20, 12, 8, 5, 5], 2)
    labels = np.array([text["labels"] for text in texts])
    start = preset("logit-adjustment", Counts.from_codes(labels, None, range(example.CLASSES)))
    settings = OnlineSettings(warm_up=10, every=5)
    watched = _Watched(texts)
    trainer = example.a_trainer(
        start,
        watched,
        str(tmp_path),
        objective="balanced",
        held_out=held_out,
        search_options={"settings": settings},
    )
    trainer.train()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    def batch(items):
        inputs = {"input_ids": torch.tensor([text["input_ids"] for text in items])}
        return inputs, torch.tensor([text["labels"] for text in items])

    size, accumulate = 16, 2
    epochs = [[texts[at] for at in epoch] for epoch in np.reshape(watched.read, (-1, len(texts)))]
    model = example.a_model().train()
    loss = ParametricCrossEntropy.from_design(start)
    optimizer = torch.optim.AdamW(model.parameters(), trainer.args.learning_rate, weight_decay=0.0)
    rate = LinearLR(optimizer, 1.0, 0.0, total_iters=len(logged))
    beside = OnlineSearch(
        model, loss, "balanced", [batch(held_out)], settings=settings, trained_by=optimizer
    )
    losses = []
    for epoch in epochs:
        beside.forget_batches()
        for first in range(0, len(epoch), size * accumulate):
            *before, last = (
                batch(epoch[at : at + size])
                for at in range(first, min(first + size * accumulate, len(epoch)), size)
            )
            of_step = sum(len(targets) for _, targets in (*before, last))
            total = 0.0
            for inputs, targets in (*before, last):
                value = loss(model(**inputs).logits, targets) * len(targets) / of_step
                value.backward()
                total += float(value.detach())
            losses.append(total)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            for micro in before:
                beside.note(*micro)
            beside.step(*last)
    _same(trainer.search, logged, (beside, np.array(losses)))
