"""One class's held-out images are turned, and the policy learns to turn that class."""

import pytest
import torch

from benchmarks.planted_rotation import CLASSES, found, world


def test_only_the_planted_class_is_turned():
    data = world(3, 3, noise=0.0)
    inputs, held_out = (part.reshape(CLASSES, -1, 16, 16) for part in (data.inputs, data.held_out))
    same = [torch.equal(a, b) for a, b in zip(inputs, held_out, strict=True)]
    assert same == [True, True, True, False, True]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_policy_rotates_the_planted_class_more_than_any_other():
    row = found(1, 0.8)
    others = [degrees for place, degrees in enumerate(row["rotation"]) if place != row["planted"]]
    assert row["first"]
    assert row["rotation"][row["planted"]] > 1.5 * max(others)
    benefits = row["benefit"]
    assert max(range(CLASSES), key=benefits.__getitem__) == row["planted"]
