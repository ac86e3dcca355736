"""Design files of every kind of damage: refused in a sentence, or a design that works."""

import json

import numpy as np
import pytest
import torch

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError, DesignError
from autobalance.losses import ParametricBinaryCrossEntropy, ParametricCrossEntropy
from tests.odd_inputs.kit import USED, mutated_json, refusal

MODERATE = 1e6


def design(counts, **changes):
    shape = counts.values.shape
    values = np.linspace(0.5, 2.0, counts.values.size).reshape(shape)
    return LossDesign(
        counts,
        values,
        values - 1.0,
        values[::-1],
        **{"ridge": 0.01, "metadata": {"objective": "balanced", "seed": 0}, **changes},
    )


VALID = [
    design(Counts(np.array([[90.0], [10.0]]), ("no", "yes"))),
    design(
        Counts(np.array([[9.0, 4.0], [1.0, 0.0], [2.0, 2.0]]), (0, 1, 2), (("f", 1), ("m", None)))
    ),
    design(Counts(np.array([[5.0, 3.0], [4.0, 6.0]]), (False, True), ("a", "b"), True), ridge=None),
    design(Counts(np.array([[5.0], [3.0]]), (1.5, None)), policy=Policy.uniform(2, 1)),
]
DOCUMENTS = [json.loads(each.to_json()) for each in VALID]


@pytest.mark.timeout(60)
def test_designs(tried, tmp_path):
    file, again = tmp_path / "design.json", tmp_path / "again.json"

    def case(rng):
        file.write_bytes(mutated_json(rng, rng.choice(DOCUMENTS)))
        try:
            found = LossDesign.load(file)
            found.save(again)
            assert LossDesign.load(again) == found
            check_loss(found)
        except (DesignError, ArtifactError) as error:
            return refusal(error)
        return USED

    tried("designs", case)
    assert {path.name for path in tmp_path.iterdir()} <= {"design.json", "again.json"}


def check_loss(found):
    """The loss of a design is finite on a batch, unless its values are beyond float32."""
    n_classes, n_groups = found.counts.values.shape
    tables = (found.weight, found.additive, found.multiplicative)
    if found.counts.multilabel:
        loss = ParametricBinaryCrossEntropy.from_design(found)
        value = loss(torch.zeros(2, n_groups), torch.ones(2, n_groups))
    else:
        loss = ParametricCrossEntropy.from_design(found)
        group = torch.arange(2 * n_groups) % n_groups
        value = loss(torch.ones(2 * n_groups, n_classes), torch.zeros_like(group), group)
    assert all(bool(buffer.isfinite().all()) for buffer in loss.buffers())
    assert value.isfinite() or any(np.abs(table).max() > MODERATE for table in tables)
