"""What it costs to search for a loss and retrain with it, in ordinary trainings of that length.

    python -m benchmarks.pipeline_cost --data-dir DATA --json results/pipeline_cost.json

A small convolutional network on Fashion-MNIST-LT (imbalance 100). One ordinary training takes all
examples and logit adjustment, which is where the search starts. AutoBalance is
``search_and_retrain`` as it is by default, with a checkpoint every epoch: a search on four fifths
of the examples and a retraining on all of them, each as many epochs as the ordinary training.
``ratio`` is its time relative to the ordinary training, one of which runs before and one after it;
``balanced`` is the balanced test error in percent after the last epoch.

**The published rows are extrapolated**, since a run would take hours: one step of the loss in the
published configuration (ten training batches whose graphs are kept, five double-backward terms, ten
held-out batches) is timed several times in the second ordinary training, and stands in for each
step of our search. Algorithm 1 takes one at every iteration after the warm-up; the other row has it
as rarely as ours.

Times are of one thread's processor, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy import ndarray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from autobalance.models.small_cnn import SmallCNN
from autobalance.objectives import Objective
from autobalance.search import online
from autobalance.training import pipeline
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch, Training
from autobalance.training.pipeline import RETRAINING, SEARCH, SearchPlan, search_and_retrain
from autobalance.training.settings import TrainingSettings
from benchmarks.hypergradient.cases import Case, long_tailed
from benchmarks.hypergradient.methods import PUBLISHED, batches, methods
from benchmarks.record import write_record

GOAL = 2.5
LEARNING_RATE = 0.05
PUBLISHED_STEP = 0.01
ORDINARY, OURS = "ordinary training", "AutoBalance"
ALWAYS, AS_OFTEN = "published, every iteration", "published, as often as AutoBalance"
CPU = torch.device("cpu")
_TIMES_PUBLISHED = 6

CHECK, MOVES, MONITOR = "check of the model", "steps of the loss", "held-out errors"
SAVES, STEPS = "checkpoints", "training steps"
_PARTS = (
    (online, "check_model", CHECK),
    (online.OnlineSearch, "step", MOVES),
    (pipeline, "predict_logits", MONITOR),
    (Checkpoints, "save", SAVES),
)

Data = tuple[Tensor, Tensor]


class Run(NamedTuple):
    """A training or a pipeline: its errors, and the seconds of what it did."""

    balanced: float
    seconds: float
    parts: dict[str, float]
    steps: int = 0


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    folder = arguments.data_dir / "fashion-mnist"
    train, test = long_tailed_part(*read(folder, "train")), scaled(*read(folder, "t10k"))
    warm_up_the_processor(train)
    settings = TrainingSettings(arguments.epochs, learning_rate=LEARNING_RATE)
    rows = [
        row for seed in range(arguments.seeds) for row in compare(train, test, settings, seed)
    ]
    summary = summarise(rows)
    _show(summary, rows)
    if arguments.json:
        facts = {"summary": summary, "goal": goal(summary), "epochs": arguments.epochs}
        write_record(arguments.json, "pipeline_cost", rows, **facts)


def read(folder: Path, part: str) -> tuple[ndarray, ndarray]:
    """Images (N, 1, 28, 28) and classes, from IDX files with headers of 16 and 8 bytes."""
    images, classes = (
        np.frombuffer(gzip.decompress((folder / f"{part}-{name}.gz").read_bytes()), np.uint8, -1, at)
        for name, at in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
    )
    return images.reshape(-1, 1, 28, 28), classes


def long_tailed_part(images: ndarray, classes: ndarray) -> Data:
    """The training examples."""
    return scaled(*long_tailed(images, classes, int(np.bincount(classes).min())))


def scaled(images: ndarray, classes: ndarray) -> Data:
    """Tensors, of pixels from 0 to 1."""
    ...


def warm_up_the_processor(train: Data) -> None:
    """What libraries load on first use is on nobody's bill."""
    run_ours((train[0][::20], train[1][::20]), None, TrainingSettings(1), 0)
