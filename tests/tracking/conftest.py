"""What trackers are told, and runs to tell them of."""

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.training.pipeline import search_and_retrain
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings


class Heard:
    """A tracker that remembers what it heard, or fails from a call on."""

    def __init__(self, failing_at=None):
        self.rows, self.settings, self.files = {}, {}, {}
        self.closed, self.calls, self.failing_at = None, 0, failing_at

    def _called(self):
        self.calls += 1
        if self.failing_at is not None and self.calls >= self.failing_at:
            raise OSError(28, "No space left on device")

    def scalars(self, series, step, values):
        self._called()
        self.rows.setdefault(series, []).append({"step": step, **values})

    def parameters(self, values):
        self._called()
        self.settings |= values

    def artifact(self, path):
        self._called()
        self.files[path.name] = path.read_text("utf-8")

    def close(self, finished=True):
        self._called()
        self.closed = finished


@pytest.fixture
def make_heard():
    return Heard


@pytest.fixture
def heard():
    return Heard()


NAMES = np.array(["ant", "bee"])


def points(seed=0):
    y = torch.repeat_interleave(torch.arange(2), torch.tensor([60, 30]))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(y), 3, generator=generator) + y[:, None], NAMES[y]


@pytest.fixture
def make_points():
    return points


@pytest.fixture
def run():
    """A small search and retraining; three epochs of each, and five moves."""

    def start(folder=None, **options):
        return search_and_retrain(
            lambda: nn.Linear(3, 2),
            points(),
            "balanced",
            parameters="additive",
            dictionary="class",
            training=TrainingSettings(3, batch_size=6, learning_rate=0.05),
            plan=SearchPlan(warm_up=0.4, moves=5, batch_size=12),
            device="cpu",
            checkpoints=folder,
            **options,
        )

    return start
