"""The pieces of the benchmark of hypergradients, on models small enough for dense algebra."""

import gzip
import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.autograd.functional import hessian

from autobalance.batches import Batch
from autobalance.losses.parametric import adjusted_cross_entropy
from benchmarks.hypergradient import betty_library, cosine, cost, memory
from benchmarks.hypergradient.__main__ import rows_of
from benchmarks.hypergradient.cases import (
    CNN,
    NETWORKS,
    RESNET,
    Case,
    long_tailed,
    training_step,
    untrained,
)
from benchmarks.hypergradient.methods import (
    DEFAULT,
    OURS,
    PUBLISHED,
    PUBLISHED_BATCHES,
    TINY,
    batches,
    class_means,
    methods,
)
from benchmarks.hypergradient.show import goals

CPU = torch.device("cpu")
K, D = 10, 3


@pytest.fixture
def linear():
    """A linear model of ten classes, of unequal size, in three dimensions, near its optimum."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(K), np.arange(2 * K, K, -1))
    centres = rng.normal(size=(K, D))
    parts = [
        Batch(
            torch.from_numpy(centres[classes] + rng.normal(size=(len(classes), D))).float(),
            torch.from_numpy(classes),
        )
        for _ in range(2)
    ]
    torch.manual_seed(0)
    case = Case("linear", nn.Linear(D, K), *parts)
    step = training_step(case)
    for _ in range(300):
        step(case.train, 0.1)
    return case


def _dense(case):
    """H, v and the mixed derivative by l and δ, by autograd on the flat parameters in float64."""
    theta = torch.cat([p.detach().double().ravel() for p in case.model.parameters()])
    weight, *adjusted = (value.double() for value in case.values)

    def logits(theta, batch):
        matrix, bias = theta[: K * D].reshape(K, D), theta[K * D :]
        return batch.inputs.double() @ matrix.T + bias

    def loss(theta, additive, multiplicative):
        return adjusted_cross_entropy(
            logits(theta, case.train), case.train.targets, weight, additive, multiplicative
        )

    leaf = theta.clone().requires_grad_()
    held_out = class_means(logits(leaf, case.held_out), [case.held_out])
    (slope,) = torch.autograd.grad(held_out, leaf)
    blocks = hessian(loss, (theta, *adjusted))
    return blocks[0][0], slope, [blocks[0][i].squeeze(-1) for i in (1, 2)]


def test_the_reference_is_the_dense_solution(linear):
    exact = cosine.reference(linear)
    assert exact.damping == cosine.DAMPINGS[0]  # the loss is convex
    H, v, mixed = _dense(linear)
    p = torch.linalg.solve(H + exact.damping * torch.eye(len(H)), v)
    expected = [-(part.T @ p) for part in mixed]
    expected = torch.cat([part - part.mean() for part in expected]).numpy()  # δ = 1 at this loss
    np.testing.assert_allclose(exact.hessian, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(exact.gauss_newton, expected, rtol=1e-4, atol=1e-7)


def test_the_derivative_by_log_delta_has_its_factor():
    delta = torch.linspace(0.5, 2.0, K)[:, None]
    case = SimpleNamespace(values=(torch.ones(K, 1), torch.zeros(K, 1), delta))
    slopes = tuple(torch.randn(K, 1) for _ in range(3))
    vector = cosine.searched(slopes, case)
    np.testing.assert_allclose(vector.reshape(2, K).sum(axis=1), 0, atol=1e-6)
    by_log = (delta * slopes[2]).ravel().numpy()
    np.testing.assert_allclose(np.diff(vector[K:]), np.diff(by_log), rtol=1e-5)


def test_the_published_step_is_the_largest_that_converges(linear, monkeypatch):
    largest = float(torch.linalg.eigvalsh(_dense(linear)[0])[-1])
    steps = (4 / largest, 1 / largest, 0.1 / largest)
    monkeypatch.setattr(cosine, "PUBLISHED_STEPS", steps)
    assert cosine.published_step(linear) == steps[1]


def test_every_method_points_along_the_reference(linear):
    exact, chosen = cosine.reference(linear), methods(published_step=0.1)
    found = cosine.cosines(linear, chosen, exact, range(3))
    assert set(found) >= {*OURS, PUBLISHED}
    for name, entry in found.items():
        assert entry["draws"] == 3
        assert entry["cosine_of_mean"] > 0.5, name
        assert entry["cosine_of_mean"] >= entry["cosine"] - 0.1, name


def test_cosines_tell_the_exact_direction_from_its_opposite(linear):
    exact = cosine.reference(linear)
    vector = torch.from_numpy(exact.hessian).reshape(2, K, 1)
    expected = {"same": 1.0, "opposite": -1.0, "none": 0.0}
    chosen = {
        name: lambda case, drawn, sign=sign: (vector[0], *(sign * vector))
        for name, sign in expected.items()
    }
    found = cosine.cosines(linear, chosen, exact, range(2))
    for name, value in expected.items():
        assert found[name]["cosine"] == pytest.approx(value)
        assert found[name]["cosine_of_mean"] == pytest.approx(value)
        assert found[name]["cosine_sd"] == pytest.approx(0, abs=1e-12)
        assert found[name]["failed"] == (2 if name == "none" else 0)


def test_a_draw_repeats_itself_and_shows_every_class(linear):
    first, again, other = (batches(linear, seed, batch=7, stratum=50) for seed in (1, 1, 2))
    assert len(first.training) == len(first.uniform) == PUBLISHED_BATCHES
    assert all(len(batch.targets) == 7 for batch in (*first.training, *first.uniform))
    assert torch.equal(first.stratified.inputs, again.stratified.inputs)
    assert not torch.equal(first.training[0].inputs, other.training[0].inputs)
    assert torch.bincount(first.stratified.targets).tolist() == [5] * K
    assert len(batches(linear, 1).stratified.targets) == len(linear.held_out.targets)


def test_a_cost_is_in_units_of_the_training_step(linear, monkeypatch):
    calls = []

    def method(case, drawn):
        calls.append(len(drawn.stratified.targets))

    def seconds(work, device):
        work()
        return 7.0 if work.func is method else 2.0

    monkeypatch.setattr(cost, "_seconds", seconds)
    before = [p.clone() for p in linear.model.parameters()]
    found = cost.cost(linear, method, seconds=20.0)
    assert found == {"cost": 3.5, "cost_quartiles": [3.5, 3.5], "runs": 3}
    assert len(calls) == 3 + 1  # one on a tiny draw, to load libraries
    assert calls[0] == TINY["stratum"] < calls[1]
    assert all(map(torch.equal, before, linear.model.parameters()))


@pytest.mark.skipif(not memory._CLEAR.exists(), reason="there is no /proc")
def test_the_peak_is_what_a_run_takes_at_most():
    kept = []

    def full():
        torch.ones(20_000_000)
        kept.append(torch.ones(10_000_000))

    size = memory._on_cpu(lambda: None, full)
    assert size == pytest.approx(80e6, rel=0.1)


@pytest.mark.slow
@pytest.mark.skipif(not memory._CLEAR.exists(), reason="there is no /proc")
def test_the_published_configuration_keeps_its_graphs():
    step, published = (memory.peak(CNN, name, CPU) for name in (memory.TRAINING_STEP, PUBLISHED))
    assert published > 5 * step


@pytest.mark.parametrize("name", [CNN, RESNET])
def test_the_networks_have_the_size_they_are_named_for(name):
    model = NETWORKS[name].make()
    assert sum(parameter.numel() for parameter in model.parameters()) == NETWORKS[name].parameters


def test_the_default_runs_on_the_resnet():
    case = untrained(RESNET, CPU)
    slopes = methods(0.01)[DEFAULT](case, batches(case, 0, **TINY))
    assert all(torch.isfinite(part).all() and part.any() for part in slopes)


def test_images_are_thinned_and_scaled():
    images = np.full((200, 1, 2, 2), 255, dtype=np.uint8)
    kept, classes = long_tailed(images, np.arange(200) % K, 20)
    counts = np.bincount(classes, minlength=K)
    assert counts[0] == 20
    assert counts[-1] == 1
    assert (np.diff(counts) <= 0).all()
    assert kept.dtype == np.float32
    assert (kept == 1).all()


def test_both_file_formats_are_read(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    grey, labels = rng.integers(256, size=(6, 28, 28), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    for part in ("train", "t10k"):
        for name, content in (("images-idx3", grey), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in content.shape)
            packed = gzip.compress(bytes([0, 0, 8, content.ndim]) + sizes + content.tobytes())
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(packed)
    images, classes = NETWORKS[CNN].read(tmp_path)
    np.testing.assert_array_equal(images[:, 0], grey)
    np.testing.assert_array_equal(classes, labels)

    cells = []
    for value in (0, 200):
        buffer = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(buffer, "jpeg")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    (tmp_path / "cifar10").mkdir()
    file = tmp_path / "cifar10" / "train-00000-of-00001.parquet"
    pd.DataFrame({"img": cells, "label": [3, 7]}).to_parquet(file)
    images, classes = NETWORKS[RESNET].read(tmp_path)
    assert images.shape == (2, 3, 32, 32)
    assert np.abs(images.astype(int) - np.array([0, 200]).reshape(2, 1, 1, 1)).max() <= 2
    assert classes.tolist() == [3, 7]


def _rows(default_cost, published_cost, memory, cosine):
    common = {"cost_quartiles": [1, 2], "runs": 3}
    found = {
        DEFAULT: {"cost": default_cost, "peak": memory and 10 * memory, **common},
        PUBLISHED: {"cost": published_cost, "peak": 90, **common},
    }
    return rows_of(CNN, found, 10, {DEFAULT: {"cosine": cosine}, PUBLISHED: {"cosine": 0.8}})


@pytest.mark.parametrize(
    ("arguments", "met"),
    [
        ((10.0, 50.0, 1.5, 0.8), [True, True, True]),
        ((10.1, 50.0, 1.6, 0.7), [False, False, False]),
        ((10.0, 50.0, None, 0.8), [True, False, True]),
    ],
)
def test_goals_are_met_at_their_bounds(arguments, met):
    assert [facts["met"] for facts in goals(_rows(*arguments)).values()] == met


def test_the_default_is_marked():
    rows = _rows(1.0, 2.0, 1.0, 0.9)
    assert [row["method"] for row in rows if row["default"]] == [DEFAULT]
    assert OURS[DEFAULT] == {}
    assert "published" in PUBLISHED
    assert [row["peak_memory"] for row in rows] == [1.0, 9.0]


@pytest.mark.skipif(betty_library.version() is None, reason="Betty is not installed")
def test_betty_leaves_the_model_as_it_was(linear):
    before = [p.clone() for p in linear.model.parameters()]
    drawn = batches(linear, 0, **TINY)
    for name, method in methods(0.1).items():
        if name.startswith("Betty"):
            assert len(method(linear, drawn)) == 3
    assert all(map(torch.equal, before, linear.model.parameters()))
