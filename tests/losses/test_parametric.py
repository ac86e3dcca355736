"""The parametric cross-entropy against PyTorch's own, a loop over examples, and calculus."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.losses import ParametricCrossEntropy, adjusted_cross_entropy

N, K, G = 11, 4, 3


def loss_by_hand(logits, target, group, weight, additive, multiplicative):
    """The equation in plain Python, one example at a time."""
    losses = []
    for z, y, g in zip(logits.tolist(), target.tolist(), group.tolist(), strict=True):
        adjusted = [multiplicative[k, g] * z[k] + additive[k, g] for k in range(K)]
        log_normaliser = math.log(sum(math.exp(a) for a in adjusted))
        losses.append(weight[y, g] * (log_normaliser - adjusted[y]))
    return torch.tensor(losses, dtype=logits.dtype)


def test_equation_per_cell(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch()
    loss = ParametricCrossEntropy(*values, reduction="none", dtype=torch.float64)
    expected = loss_by_hand(logits, target, group, *values)
    torch.testing.assert_close(loss(logits, target, group), expected)


@pytest.mark.parametrize("dense", [(), (5,), (2, 3)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore_index", [-100, 2, 255])
def test_plain_is_torch_cross_entropy(draw, dense, reduction, ignore_index):
    logits, target, _ = draw.batch(dense)
    target.view(-1)[:3] = ignore_index
    loss = ParametricCrossEntropy(n_classes=K, reduction=reduction, ignore_index=ignore_index)
    torch.testing.assert_close(
        loss(logits, target),
        F.cross_entropy(logits, target, reduction=reduction, ignore_index=ignore_index),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dense", [(), (5,)])
def test_weighted_sum_is_torch_cross_entropy(draw, dense, soft, smoothing):
    logits, target, _ = draw.batch(dense)
    if soft:
        target = draw.uniform(*logits.shape)
    weight, additive, multiplicative = draw.values((K,))
    loss = ParametricCrossEntropy(
        weight,
        additive,
        multiplicative,
        reduction="sum",
        label_smoothing=smoothing,
        dtype=torch.float64,
    )
    shape = (1, K, *(1 for _ in dense))
    adjusted = multiplicative.view(shape) * logits + additive.view(shape)
    expected = F.cross_entropy(
        adjusted, target, weight=weight, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_smoothing_without_weights_is_torch_cross_entropy(draw, reduction):
    logits, target, _ = draw.batch()
    target[4] = -100
    loss = ParametricCrossEntropy(n_classes=K, reduction=reduction, label_smoothing=0.2)
    expected = F.cross_entropy(logits, target, reduction=reduction, label_smoothing=0.2)
    torch.testing.assert_close(loss(logits, target), expected)


def test_smoothed_target_is_a_soft_target_with_a_weight_per_share(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch()
    smoothed = 0.75 * F.one_hot(target, K).double() + 0.25 / K
    options = {"group": group, "reduction": "none"}
    torch.testing.assert_close(
        adjusted_cross_entropy(logits, target, *values, label_smoothing=0.25, **options),
        adjusted_cross_entropy(logits, smoothed, *values, **options),
    )


def test_one_hot_shares_are_class_indices(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch((2, 3))
    shares = F.one_hot(target, K).movedim(-1, 1).double()
    torch.testing.assert_close(
        adjusted_cross_entropy(logits, shares, *values, group=group),
        adjusted_cross_entropy(logits, target, *values, group=group),
    )


def test_mean_divides_by_examples_not_by_weights(draw):
    weight = torch.tensor([0.1, 1.0, 3.0, 7.0], dtype=torch.float64, requires_grad=True)
    logits, target, _ = draw.batch()
    neutral = torch.zeros(K, 1, dtype=torch.float64), torch.ones(K, 1, dtype=torch.float64)
    ours = adjusted_cross_entropy(logits, target, weight[:, None], *neutral)
    plain = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(ours, (weight[target] * plain).mean())
    (gradient,) = torch.autograd.grad(ours, weight)
    torch.testing.assert_close(gradient, (F.one_hot(target, K).T.double() @ plain) / N)
    assert not torch.isclose(ours, F.cross_entropy(logits, target, weight=weight.detach()))


def test_ignored_examples_do_not_count(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch()
    kept = torch.arange(N) % 3 != 0
    torch.testing.assert_close(
        adjusted_cross_entropy(logits, target.where(kept, -100), *values, group=group),
        adjusted_cross_entropy(logits[kept], target[kept], *values, group=group[kept]),
    )


@pytest.mark.parametrize("size", [0, 3])
def test_nothing_to_learn_from_gives_zero_and_zero_gradients(size):
    logits = torch.randn(size, K, requires_grad=True)
    loss = ParametricCrossEntropy(n_classes=K)
    value = loss(logits, torch.full((size,), -100))
    value.backward()
    assert value == 0
    assert not logits.grad.any()
    assert loss(torch.randn(0, K), torch.rand(0, K)) == 0


def test_sample_weights_scale_examples_not_the_mean(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch()
    factors = draw.codes(4, N)
    weighted = adjusted_cross_entropy(
        logits, target, *values, group=group, sample_weight=factors, reduction="sum"
    )
    again = [part.repeat_interleave(factors, 0) for part in (logits, target, group)]
    expected = adjusted_cross_entropy(again[0], again[1], *values, group=again[2], reduction="sum")
    torch.testing.assert_close(weighted, expected)
    mean = adjusted_cross_entropy(logits, target, *values, group=group, sample_weight=factors)
    torch.testing.assert_close(mean, expected / N)


def test_dense_groups_and_sample_weights_per_example_or_per_output(draw):
    values = draw.values((K, G))
    logits, target, group = draw.batch((2, 3))
    factors = draw.uniform(N)
    options = {"reduction": "none"}
    per_example = adjusted_cross_entropy(
        logits, target, *values, group=group, sample_weight=factors, **options
    )
    per_output = adjusted_cross_entropy(
        logits,
        target,
        *values,
        group=group.view(N, 1, 1).expand(N, 2, 3),
        sample_weight=factors.view(N, 1, 1).expand(N, 2, 3),
        **options,
    )
    torch.testing.assert_close(per_example, per_output)
    at = (slice(None), 1, 2)
    alone = adjusted_cross_entropy(
        logits[:, :, 1, 2], target[at], *values, group=group, sample_weight=factors, **options
    )
    torch.testing.assert_close(per_output[at], alone)


def test_groups_may_differ_within_a_dense_example(draw):
    values = draw.values((K, G))
    logits, target, _ = draw.batch((5,))
    group = draw.codes(G, N, 5)
    flat = loss_by_hand(
        logits.movedim(1, -1).reshape(-1, K), target.flatten(), group.flatten(), *values
    )
    ours = adjusted_cross_entropy(logits, target, *values, group=group, reduction="none")
    torch.testing.assert_close(ours.flatten(), flat)


def test_equal_micro_batches_accumulate_to_the_whole_batch(draw):
    logits, target, group = draw.batch()
    logits, target, group = logits[:8], target[:8], group[:8]
    features = draw.normal(8, 5)
    head = torch.nn.Linear(5, K, dtype=torch.float64)
    loss = ParametricCrossEntropy(*draw.values((K, G)), dtype=torch.float64)

    loss(head(features), target, group).backward()
    whole = head.weight.grad.clone()
    head.zero_grad()
    for part in torch.arange(8).split(2):
        (loss(head(features[part]), target[part], group[part]) / 4).backward()
    torch.testing.assert_close(head.weight.grad, whole)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dense", [(), (2,)])
def test_gradients_in_logits_and_all_values(draw, soft, smoothing, dense):
    logits, target, group = draw.batch(dense)
    logits, target, group = logits[:4], target[:4], group[:4]
    if soft:
        target = draw.uniform(*logits.shape)
    else:
        target[0] = -100
    inputs = [logits, *draw.values((K, G))]
    inputs = [values.requires_grad_() for values in inputs]

    def loss(logits, *values):
        return adjusted_cross_entropy(
            logits, target, *values, group=group, label_smoothing=smoothing
        )

    assert torch.autograd.gradcheck(loss, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, inputs, fast_mode=True)


def test_gradient_in_soft_targets(draw):
    values = draw.values((K, G))
    logits, _, group = draw.batch()
    shares = draw.uniform(N, K).requires_grad_()

    def loss(shares):
        return adjusted_cross_entropy(logits, shares, *values, group=group)

    assert torch.autograd.gradcheck(loss, [shares])


@given(
    shift=st.floats(-1e3, 1e3),
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(1, 6),
    n_groups=st.integers(1, 3),
    dense=st.lists(st.integers(1, 3), max_size=2),
)
def test_a_constant_added_to_additive_changes_nothing(shift, seed, n_classes, n_groups, dense):
    draw = np.random.default_rng(seed)
    weight, additive, multiplicative = torch.tensor(draw.uniform(0.5, 2, (3, n_classes, n_groups)))
    logits = torch.tensor(draw.normal(size=(3, n_classes, *dense)))
    target = torch.tensor(draw.integers(n_classes, size=(3, *dense)))
    group = torch.tensor(draw.integers(n_groups, size=3))
    options = {"group": group, "reduction": "none"}
    losses = adjusted_cross_entropy(logits, target, weight, additive, multiplicative, **options)
    shifted = adjusted_cross_entropy(
        logits, target, weight, additive + shift, multiplicative, **options
    )
    assert losses.shape == target.shape
    assert (losses >= 0).all()
    torch.testing.assert_close(shifted, losses, rtol=1e-9, atol=1e-9)


@given(
    logits=st.lists(st.floats(-(2.0**93), 2.0**93, width=32), min_size=6, max_size=6),
    weight=st.lists(st.floats(0, 1e6, width=32), min_size=3, max_size=3),
    additive=st.lists(st.floats(-(2.0**93), 2.0**93, width=32), min_size=3, max_size=3),
    multiplicative=st.lists(st.floats(2.0**-100, 1e2, width=32), min_size=3, max_size=3),
    target=st.lists(st.integers(0, 2), min_size=2, max_size=2),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_extremes_stay_finite(logits, weight, additive, multiplicative, target, smoothing):
    inputs = [torch.tensor(logits).view(2, 3)]
    inputs += [torch.tensor(values).view(3, 1) for values in (weight, additive, multiplicative)]
    inputs = [values.requires_grad_() for values in inputs]
    loss = adjusted_cross_entropy(
        inputs[0], torch.tensor(target), *inputs[1:], label_smoothing=smoothing
    )
    assert torch.isfinite(loss)
    for gradient in torch.autograd.grad(loss, inputs):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("soft", [False, True])
def test_minus_infinity_takes_a_class_out(draw, soft):
    values = [values.requires_grad_() for values in draw.values((K, 1))]
    logits, target, _ = draw.batch()
    target = target.clamp(max=K - 2)
    if soft:
        target = F.one_hot(target, K).double()
    masked = logits.index_fill(1, torch.tensor([K - 1]), -math.inf).requires_grad_()
    loss = adjusted_cross_entropy(masked, target, *values)
    without = adjusted_cross_entropy(
        logits[:, :-1], target[:, :-1] if soft else target, *(v[:-1] for v in values)
    )
    torch.testing.assert_close(loss, without)
    for ours, expected in zip(
        torch.autograd.grad(loss, values), torch.autograd.grad(without, values), strict=True
    ):
        torch.testing.assert_close(ours, expected)
    loss = adjusted_cross_entropy(masked, target, *values)
    assert torch.isfinite(torch.autograd.grad(loss, masked)[0]).all()


def test_smoothing_over_an_absent_class_keeps_torch_gradients(draw):
    logits, target, _ = draw.batch(dtype=torch.float32)
    masked = logits.index_fill(1, torch.tensor([K - 1]), -math.inf).requires_grad_()
    target = target.clamp(max=K - 2)
    value = ParametricCrossEntropy(n_classes=K, label_smoothing=0.1)(masked, target)
    assert torch.isfinite(value)
    gradient = torch.autograd.grad(value, masked)[0]
    expected = torch.autograd.grad(F.cross_entropy(masked, target, label_smoothing=0.1), masked)[0]
    torch.testing.assert_close(gradient[:, :-1], expected[:, :-1])
    assert not gradient[:, -1].any()


def test_overflowing_and_missing_logits_are_seen():
    logits = torch.tensor([[math.inf, 0.0], [math.nan, 0.0]])
    loss = ParametricCrossEntropy(n_classes=2, reduction="none")
    assert loss(logits, torch.tensor([0, 1])).isnan().all()


def test_one_value_per_class_holds_in_every_group():
    loss = ParametricCrossEntropy([1.0, 2.0], additive=[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    assert loss.weight.tolist() == [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    assert loss.multiplicative.tolist() == [[1.0] * 3] * 2


def test_from_design(draw):
    values = [values.numpy() for values in draw.values((K, G))]
    counts = Counts(np.ones((K, G)), tuple("abcd"), (1, 2, 3))
    loss = ParametricCrossEntropy.from_design(
        LossDesign(counts, *values), reduction="sum", dtype=torch.float64
    )
    assert loss.reduction == "sum"
    for name, expected in zip(("weight", "additive", "multiplicative"), values, strict=True):
        np.testing.assert_array_equal(getattr(loss, name), expected)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("values", ["abc", ["a", "b"], {}, [[1.0], [1.0, 2.0]]])
def test_values_that_are_no_numbers(values):
    with pytest.raises(DesignError, match="additive is no table of numbers"):
        ParametricCrossEntropy(additive=values)
