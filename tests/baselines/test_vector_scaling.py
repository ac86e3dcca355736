"""Vector scaling against the tuned bias, a search without derivatives, and its own definition."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from autobalance.baselines.vector_scaling import vector_scaling
from autobalance.posthoc import tune_bias, tune_scaling
from autobalance.search.heldout import HeldOutRisk
from autobalance.space import SearchSpace


def held_out_of(bench, profile=True):
    rows = bench.folds.row
    return HeldOutRisk(
        torch.from_numpy(bench.y[rows]),
        torch.from_numpy(bench.g[rows]),
        torch.from_numpy(bench.sample_weight[rows]),
        bench.objective,
        sharpness=20.0,
        profile_temperature=profile,
    )


def scaling(held_out, logits):
    return (each[:, 0] for each in tune_scaling(held_out, logits))


def uneven_logits(bench, seed=0):
    """Logits that say something about the classes, on scales and with biases of their own."""
    rng = np.random.default_rng(seed)
    K = bench.counts.n_classes
    logits = 1.5 * rng.normal(size=(len(bench.folds.row), K))
    logits += 2 * np.eye(K)[bench.y[bench.folds.row]]
    return torch.from_numpy(np.geomspace(0.3, 3, K) * logits + np.linspace(2, -1, K))


@pytest.mark.parametrize("profile", [True, False])
@pytest.mark.parametrize("objective", ["balanced", "group-balanced", "worst-class", "worst-group"])
def test_it_is_no_worse_than_a_search_without_derivatives(make_bench, objective, profile):
    _, bench = make_bench(objective, classes=3)
    held_out, logits = held_out_of(bench, profile), uneven_logits(bench)

    def value(scale, bias):
        point = torch.from_numpy(scale) * logits + torch.from_numpy(bias)
        return float(held_out(point).objective)

    scale, bias = scaling(held_out, logits)
    other = minimize(
        lambda p: value(np.exp(p[:3]), np.append(p[3:], 0.0)),
        np.zeros(5),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000},
    )
    assert value(scale, bias) <= other.fun + 1e-4
    assert value(scale, bias) < value(np.ones(3), tune_bias(held_out, logits)) - 1e-3
    assert (scale > 0).all()
    assert bias.mean() == pytest.approx(0, abs=1e-12)
    if profile:
        assert np.log(scale).mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_never_worse_than_the_tuned_bias(make_bench, seed):
    _, bench = make_bench("0.1*error+0.9*equalized-odds", classes=3)
    held_out, logits = held_out_of(bench), uneven_logits(bench, seed)
    scale, bias = scaling(held_out, logits)
    found = held_out(torch.from_numpy(scale) * logits + torch.from_numpy(bias))
    biased = held_out(logits + torch.from_numpy(tune_bias(held_out, logits)))
    assert float(found.total) <= float(biased.total)


def test_it_undoes_scales_that_were_multiplied_in(make_bench):
    _, bench = make_bench("balanced", classes=3)
    held_out, logits = held_out_of(bench), uneven_logits(bench)
    factor = np.array([0.5, 1.0, 2.0])
    scale, _ = scaling(held_out, logits)
    again, _ = scaling(held_out, torch.from_numpy(factor) * logits)
    np.testing.assert_allclose(again * factor, scale, rtol=2e-2)


def test_with_two_opposite_logits_it_is_the_tuned_bias(make_bench):
    x, bench = make_bench("worst-group")
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    scaled = vector_scaling(bench, head)
    biased = bench.add_tuned_bias(head, "Tuned bias")
    assert (scaled.model.predict(x) == biased.model.predict(x)).mean() > 0.995
    held_out = bench.problem(SearchSpace(head.design, {}, True)).held_out
    expected = float(held_out(torch.from_numpy(biased.held_out_logits)).total)
    assert scaled.value == pytest.approx(expected, abs=1e-6)


def test_the_model_gives_the_scaled_logits(make_bench):
    x, bench = make_bench("worst-group", classes=3)
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    found = vector_scaling(bench, head)
    assert (found.name, found.kind) == ("Post-hoc vector scaling", "post-hoc")
    scale = np.array([found.strengths[f"scale of class '{name}'"] for name in "abc"])
    bias = np.array([found.strengths[f"bias of class '{name}'"] for name in "abc"])
    for scaled, plain in (
        (found.model.logits(x), head.model.logits(x)),
        (found.held_out_logits, head.held_out_logits),
    ):
        centred = plain - plain.mean(1, keepdims=True)
        np.testing.assert_allclose(scaled, scale * centred + bias, atol=1e-10)
    outcome = bench.problem(SearchSpace(head.design, {}, True)).held_out(
        torch.from_numpy(found.held_out_logits)
    )
    assert found.value == pytest.approx(float(outcome.total), rel=1e-12)
    assert found.model.temperature == pytest.approx(outcome.temperature, rel=1e-12)
    assert found.seconds >= head.seconds
