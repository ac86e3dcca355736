"""τ-normalisation against its formula, written out from the trained weights."""

import numpy as np
import pytest
import torch

from autobalance.baselines import tau_normalisation as module
from autobalance.baselines.tau_normalisation import GRID, normalised, tau_normalisation


@pytest.fixture
def plain(make_bench):
    x, bench = make_bench("balanced", classes=3, groups=1)
    return x, bench, bench.train_preset("cross-entropy", "Cross-entropy")


@pytest.mark.parametrize(("tau", "intercept"), [(0.0, 1.0), (0.7, 0.0), (1.3, 1.0)])
def test_the_model_has_the_formulas_weights(plain, standard_parts, monkeypatch, tau, intercept):
    x, bench, head = plain
    monkeypatch.setattr(module, "GRID", {"tau": [tau], "intercept": [intercept]})
    standard, coef, bias = standard_parts(x, head)
    power = np.linalg.norm(coef, axis=1) ** tau
    expected = (standard @ coef.T + intercept * bias) / power
    np.testing.assert_allclose(tau_normalisation(bench, head).model.logits(x), expected, atol=1e-4)


def test_at_tau_0_with_the_intercept_nothing_changes(plain, monkeypatch):
    x, bench, head = plain
    monkeypatch.setattr(module, "GRID", {"tau": [0.0], "intercept": [1.0]})
    found = tau_normalisation(bench, head)
    np.testing.assert_allclose(found.model.logits(x), head.model.logits(x), atol=1e-4)
    np.testing.assert_allclose(found.held_out_logits, head.held_out_logits, atol=2e-3)


def test_at_tau_1_all_weight_vectors_have_length_1():
    theta = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 5)))
    lengths = normalised(theta, 1.0, 0.0)[..., :-1].norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert normalised(torch.zeros(1, 2, 4, dtype=torch.float64), 1.0, 1.0).isfinite().all()


def test_the_best_of_the_grid_is_taken(plain, monkeypatch):
    _, bench, head = plain
    found = tau_normalisation(bench, head)
    assert (found.name, found.kind) == ("τ-normalisation", "post-hoc")
    assert found.strengths["tau"] in GRID["tau"]
    assert found.seconds > head.seconds
    values = []
    for tau in (0.0, 0.5, 1.0, 2.0):
        for intercept in (0.0, 1.0):
            monkeypatch.setattr(module, "GRID", {"tau": [tau], "intercept": [intercept]})
            values.append(tau_normalisation(bench, head).value)
    assert found.value <= min(values) + 1e-9
    assert max(values) > min(values) + 1e-3


def test_with_two_classes_tau_decides_nothing(make_bench, monkeypatch):
    x, bench = make_bench("balanced", groups=1)
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    predictions = []
    for tau in (0.0, 2.0):
        monkeypatch.setattr(module, "GRID", {"tau": [tau], "intercept": [1.0]})
        predictions.append(tau_normalisation(bench, head).model.predict(x))
    np.testing.assert_array_equal(*predictions)
