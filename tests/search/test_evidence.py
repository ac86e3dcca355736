"""The gain of a search against the noise of the examples that chose it."""

import itertools

import numpy as np
import pytest
import torch

from autobalance import AutoBalanceClassifier
from autobalance.counts import Counts
from autobalance.objectives import Objective
from autobalance.search.evidence import Gain, paired_gain
from autobalance.search.heldout import HeldOutRisk


def held_out(rng, sizes, objective="group-balanced"):
    y = np.repeat([0, 0, 1, 1], sizes)
    g = np.repeat([0, 1, 0, 1], sizes)
    counts = Counts.from_codes(y, g, ("a", "b"), ("x", "y"))
    bound = Objective.parse(objective).bind(counts)
    risk = HeldOutRisk(
        torch.from_numpy(y),
        torch.from_numpy(g),
        torch.ones(len(y), dtype=torch.float64),
        bound,
        sharpness=20.0,
        profile_temperature=False,
    )
    return risk, y


@pytest.mark.parametrize("objective", ["group-balanced", "worst-group"])
def test_standard_error_is_that_of_resampled_gains(objective):
    """Also where another cell is the worst one after than before."""
    rng = np.random.default_rng(0)
    sizes = [140, 160, 180, 200]
    risk, y = held_out(rng, sizes, objective)
    before = torch.from_numpy(rng.normal(size=(len(y), 2)))
    before[:140, 0] -= 0.4
    after = before + torch.from_numpy(0.5 * rng.normal(size=(len(y), 2)))
    after[:140, 0] += 0.6
    after[480:, 1] -= 0.6
    found = paired_gain(risk, before, after)
    losses = [risk.example_losses(logits) for logits in (before, after)]
    edges = np.cumsum([0, *sizes])
    gains = []
    for _ in range(3000):
        rows = np.concatenate([rng.integers(a, b, b - a) for a, b in itertools.pairwise(edges)])
        means = [torch.stack([part.mean() for part in loss[rows].split(sizes)]) for loss in losses]
        values = [float(risk.objective_of(mean.reshape(2, 2))) for mean in means]
        gains.append(values[0] - values[1])
    values = [float(risk(logits).objective) for logits in (before, after)]
    assert found.value == pytest.approx(values[0] - values[1], abs=1e-9)
    assert found.standard_error == pytest.approx(np.std(gains), rel=0.08)


def test_repetitions_are_no_new_evidence():
    rng = np.random.default_rng(1)
    risk, y = held_out(rng, [10, 20, 15, 30])
    before, after = (torch.from_numpy(rng.normal(size=(len(y), 2))) for _ in range(2))
    once = paired_gain(risk, before, after)
    twice = HeldOutRisk(
        risk.target.repeat(2),
        torch.from_numpy(np.tile(np.repeat([0, 1, 0, 1], [10, 20, 15, 30]), 2)),
        torch.ones(2 * len(y), dtype=torch.float64),
        risk.objective,
        row=torch.arange(len(y)).repeat(2),
        sharpness=20.0,
        profile_temperature=False,
    )
    again = paired_gain(twice, before.repeat(2, 1), after.repeat(2, 1))
    assert again.value == pytest.approx(once.value)
    assert again.standard_error == pytest.approx(once.standard_error)
    assert twice.variance == pytest.approx(risk.variance)


def test_a_gain_is_held_against_its_standard_error():
    gain = Gain(0.03, 0.01)
    assert gain.stands_out(required=2.0)
    assert not gain.stands_out(required=3.0)
    assert not Gain(0.0, 0.0).stands_out(required=0.0)


SEEDS = range(12)


def data(seed, planted):
    """Two shifted normal classes, for which logit adjustment is optimal; or a group that misleads.

    In the second, one feature points the wrong way in one group, so that a design by cell has
    something to find that plain cross-entropy has not.
    """
    rng = np.random.default_rng(seed)
    n = 500
    y = (rng.random(n) < 0.15).astype(int)
    X = rng.normal(size=(n, 2))
    X[:, 0] += 1.5 * y
    group = np.zeros(n, dtype=int)
    if planted:
        group = (rng.random(n) < 0.5).astype(int)
        X[:, 0] -= 3.0 * y * group
        X[:, 1] += 2.5 * y
    return X, y, group


def test_a_start_that_is_optimal_is_mostly_kept():
    moved = 0
    for seed in SEEDS:
        X, y, _ = data(seed, planted=False)
        model = AutoBalanceClassifier("balanced", verdict=None, random_state=0).fit(X, y)
        moved += model.result_.status != "start kept"
    assert moved <= 6


def test_a_planted_gain_is_found():
    found = 0
    for seed in SEEDS:
        X, y, group = data(seed, planted=True)
        model = AutoBalanceClassifier(
            "worst-group", start="cross-entropy", verdict=None, random_state=0
        )
        model.fit(X, y, sensitive_features=group)
        found += model.result_.status != "start kept"
    assert found >= 11
