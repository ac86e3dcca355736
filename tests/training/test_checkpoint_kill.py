"""Checkpoints are whole, or passed over, whenever the process that writes them is killed."""

import itertools
from pathlib import Path

import pytest
import torch

from autobalance.training.checkpoint import Checkpoints


def save_on_and_on(folder, first, size):
    """Called in a process of its own, which is killed."""
    for number in itertools.count(first):
        Checkpoints(Path(folder)).save(number, torch.full((size,), number))


def newest_whole(checkpoints, size):
    """The newest number, 0 without any; a damaged checkpoint would warn, and so fail the test."""
    loaded = checkpoints.load()
    if loaded is None:
        return 0
    number, state = loaded
    assert torch.equal(state, torch.full((size,), number))
    return number


@pytest.mark.slow
def test_killed_before_any_step(tmp_path, nursery):
    reached = []
    for steps in range(1, 25):
        checkpoints = Checkpoints(tmp_path / str(steps))
        assert nursery.kill(steps, save_on_and_on, str(checkpoints.folder), 1, 10)
        number = newest_whole(checkpoints, 10)
        reached.append(number)
        checkpoints.save(number + 1, None)
        checkpoints.save(number + 2, None)
        assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
            f"checkpoint-{number + 1:06d}.checkpoint",
            f"checkpoint-{number + 2:06d}.checkpoint",
        ]
    assert reached == sorted(reached)
    assert reached[-1] > 2  # so that kills fell between deletions too


def test_killed_at_any_moment(tmp_path, nursery):
    size = 500_000
    checkpoints, kills, reached = Checkpoints(tmp_path), 0, 0
    while kills < 16 or reached == 0:
        nursery.kill_after(0.005 * kills, save_on_and_on, str(tmp_path), reached + 1, size)
        before, reached = reached, newest_whole(checkpoints, size)
        assert reached >= before
        kills += 1
