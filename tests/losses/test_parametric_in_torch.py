"""The parametric cross-entropy with devices, precisions, saving, compilation and transforms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, jvp, vmap

from autobalance.losses import ParametricCrossEntropy, adjusted_cross_entropy

N, K, G = 11, 4, 3
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_single(draw, device, dtype):
    logits, target, group = (part.to(device) for part in draw.batch())
    logits = (30 * logits).to(dtype).requires_grad_()
    loss = ParametricCrossEntropy(*draw.values((K, G))).to(device)
    value = loss(logits, target, group)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), target, group))
    value.backward()
    assert logits.grad.dtype == dtype
    assert loss.to(dtype)(logits, target, group).dtype == torch.float32


@pytest.mark.parametrize("device", DEVICES)
def test_autocast(draw, device):
    head = torch.nn.Linear(5, K).to(device)
    features = draw.normal(N, 5, dtype=torch.float32).to(device)
    _, target, group = (part.to(device) for part in draw.batch())
    loss = ParametricCrossEntropy(*draw.values((K, G))).to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        logits = head(features)
        value = loss(logits, target, group)
    assert logits.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), target, group), rtol=0, atol=0)
    value.backward()
    assert torch.isfinite(head.weight.grad).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_synchronisation_on_cuda(draw):
    logits, target, group = (part.cuda() for part in draw.batch((2,)))
    logits.requires_grad_()
    loss = ParametricCrossEntropy(*draw.values((K, G)), label_smoothing=0.1).cuda()
    factors = torch.ones(N, device="cuda")
    loss(logits, target, group, factors).backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(logits, target, group, factors).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_dtype_is_the_widest_of_logits_and_values(draw):
    values = draw.values((K,))
    logits, target, _ = draw.batch()
    single = ParametricCrossEntropy(*values)
    double = ParametricCrossEntropy(*values, dtype=torch.float64)
    assert single(logits.float(), target).dtype == torch.float32
    assert single(logits, target).dtype == torch.float64
    assert double(logits.float(), target).dtype == torch.float64
    assert torch.equal(double.weight[:, 0], values[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
def test_any_integer_codes(draw, dtype):
    values = draw.values((K, G))
    logits, target, group = draw.batch()
    torch.testing.assert_close(
        adjusted_cross_entropy(logits, target.to(dtype), *values, group=group.to(dtype)),
        adjusted_cross_entropy(logits, target, *values, group=group),
    )


def test_unsigned_targets_are_not_mistaken_for_the_ignored_index():
    logits = torch.randn(2, 200)
    target = torch.tensor([156, 1], dtype=torch.uint8)  # 156 is -100 modulo 256
    loss = ParametricCrossEntropy(n_classes=200)
    torch.testing.assert_close(loss(logits, target), F.cross_entropy(logits, target.long()))


def test_state_dict_round_trip(draw):
    saved = ParametricCrossEntropy(*draw.values((K, G)))
    assert set(saved.state_dict()) == {"weight", "additive", "multiplicative"}
    fresh = ParametricCrossEntropy(np.ones((K, G)))
    fresh.load_state_dict(saved.state_dict())
    logits, target, group = draw.batch()
    assert torch.equal(fresh(logits, target, group), saved(logits, target, group))
    assert not list(saved.parameters())


def test_values_are_copies():
    weight = np.ones(K, dtype=np.float32)
    loss = ParametricCrossEntropy(weight, torch.zeros(K, requires_grad=True))
    weight[0] = 5.0
    assert loss.weight[0] == 1.0
    assert not loss.additive.requires_grad


def test_print_shows_sizes_and_options():
    assert repr(ParametricCrossEntropy(n_classes=2, reduction="sum")) == (
        "ParametricCrossEntropy(n_classes=2, n_groups=1, reduction='sum', ignore_index=-100, "
        "label_smoothing=0.0)"
    )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_compiles_without_graph_breaks(draw, plain_calls, soft, dynamic):
    loss = ParametricCrossEntropy(*draw.values((K, G)), label_smoothing=0.1)
    logits, target, group = draw.batch((2,))
    if soft:
        target = draw.uniform(*logits.shape)
    logits.requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    value = compiled(logits, target, group)
    torch.testing.assert_close(value, loss(logits, target, group))
    expected = torch.autograd.grad(loss(logits, target, group), logits)[0]
    torch.testing.assert_close(torch.autograd.grad(value, logits)[0], expected)


def test_per_example_gradients_by_vmap(draw):
    loss = ParametricCrossEntropy(*draw.values((K, G)), dtype=torch.float64)
    head = torch.nn.Linear(5, K, dtype=torch.float64)
    parameters = dict(head.named_parameters())
    features = draw.normal(N, 5)
    _, target, group = draw.batch()

    def one(parameters, x, y, g):
        return loss(functional_call(head, parameters, x[None]), y[None], g[None])

    stacked = vmap(grad(one), (None, 0, 0, 0))(parameters, features, target, group)
    for i in range(N):
        alone = grad(one)(parameters, features[i], target[i], group[i])
        torch.testing.assert_close(stacked["weight"][i], alone["weight"])


def test_many_losses_by_vmap_over_values(draw):
    logits, target, group = draw.batch()
    many = draw.values((6, K, G))

    def one(*values):
        return adjusted_cross_entropy(logits, target, *values, group=group)

    torch.testing.assert_close(
        vmap(one)(*many), torch.stack([one(*values) for values in zip(*many, strict=True)])
    )


def test_forward_mode_through_a_model(draw):
    loss = ParametricCrossEntropy(*draw.values((K, G)), dtype=torch.float64)
    logits, target, group = draw.batch()
    direction = draw.normal(N, K)
    _, slope = jvp(lambda z: loss(z, target, group), (logits,), (direction,))
    gradient = grad(lambda z: loss(z, target, group))(logits)
    torch.testing.assert_close(slope, (gradient * direction).sum())
