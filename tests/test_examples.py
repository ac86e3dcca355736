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

from autobalance import preset

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
def test_an_example_compares_two_losses_on_test_examples(name, load):
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
    assert len(errors) == 2
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
