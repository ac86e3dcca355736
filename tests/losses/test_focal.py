"""Focal loss is the published formula, at every γ and for every logit."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autobalance.counts import Counts
from autobalance.errors import DataError, DesignError
from autobalance.losses.focal import FocalLoss

SIZES = [5000.0, 300.0, 20.0]
GAMMAS = [0.0, 0.3, 1.0, 2.0, 5.5]


def counts(sizes=SIZES):
    return Counts(np.array(sizes)[:, None], tuple(range(len(sizes))))


def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(7, 3, generator=generator, dtype=torch.float64)
    return logits, torch.tensor([0, 2, 1, 1, 0, 2, 0])


def by_hand(logits, targets, gamma, weights):
    """Example by example, and the mean over the number of examples."""
    total = 0.0
    for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
        p = math.exp(z[y]) / sum(math.exp(each) for each in z)
        total -= weights[y] * (1 - p) ** gamma * math.log(p)
    return total / len(targets)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_it_is_the_published_formula(gamma):
    logits, targets = batch()
    value = FocalLoss(counts(), gamma=gamma)(logits, targets)
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(by_hand(logits, targets, gamma, [1] * 3), rel=1e-12)


def test_the_weights_are_inverse_effective_numbers():
    inverse = [(1 - 0.999) / (1 - 0.999**n) for n in SIZES]
    mean = sum(n * w for n, w in zip(SIZES, inverse, strict=True)) / sum(SIZES)
    logits, targets = batch()
    expected = by_hand(logits, targets, 2.0, [w / mean for w in inverse])
    loss = FocalLoss(counts(), beta=0.999)
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-6)
    assert not torch.equal(loss.weight, torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_gamma_0_it_is_cross_entropy(dtype):
    logits, targets = batch()
    extreme = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], dtype=dtype)
    ours = torch.cat([logits.to(dtype), extreme]).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    targets = torch.cat([targets, torch.tensor([0, 0])])
    value, expected = (
        FocalLoss(counts(), gamma=0.0)(ours, targets),
        F.cross_entropy(theirs, targets),
    )
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_its_gradient_is_that_of_finite_differences(gamma):
    loss, (logits, targets) = FocalLoss(counts(), gamma=gamma, beta=0.99), batch()
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.5, 1.0, 2.0, 1e3, 1e6])
def test_extreme_logits_stay_finite(gamma, dtype):
    """A sure and right example costs nothing, a sure and wrong one the distance of its logits."""
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype=dtype).requires_grad_()
    loss = FocalLoss(counts(), gamma=gamma)
    right, wrong = (loss(logits[i : i + 1], torch.tensor([0])) for i in (0, 1))
    assert right.dtype == torch.promote_types(dtype, torch.float32)
    assert right.item() == 0
    assert wrong.item() == pytest.approx(2e4, rel=1e-2)
    (right + wrong).backward()
    assert not logits.grad[0].any()
    torch.testing.assert_close(logits.grad[1], torch.tensor([-1, 1, 0], dtype=dtype))


def test_groups_are_not_looked_at():
    parts = np.array([[4000.0, 1000.0], [0.0, 300.0], [19.0, 1.0]])
    with_groups = FocalLoss(Counts(parts, (0, 1, 2), ("a", "b")), beta=0.99)
    logits, targets = batch()
    expected = FocalLoss(counts(), beta=0.99)(logits, targets.int())
    assert torch.equal(with_groups(logits, targets, torch.zeros(7, dtype=torch.int64)), expected)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -0.1}, "gamma is -0.1; it must be finite and not negative"),
        ({"gamma": math.inf}, "gamma is inf; it must be finite"),
        ({"gamma": math.nan}, "gamma is nan; it must be finite"),
        ({"beta": 1.0}, "beta is 1.0 but must be at least 0"),
    ],
    ids=str,
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        FocalLoss(counts(), **options)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        ((2, 4), torch.tensor([0, 1]), "logits have shape (2, 4) but this loss has 3 classes"),
        ((2, 3, 5), torch.tensor([0, 1]), "logits have shape (2, 3, 5) but this loss has 3"),
        ((2, 3), torch.tensor([0, 1, 1]), "targets are int64 of shape (3,) but logits are float32"),
        ((2, 3), torch.zeros(2, 3), "targets are float32 of shape (2, 3) but logits are float32"),
        ((2, 3), torch.zeros(2), "give class codes of shape (2,)"),
    ],
    ids=str,
)
def test_batches_of_other_shapes_are_named(logits, targets, message):
    with pytest.raises(DataError, match=re.escape(message)):
        FocalLoss(counts())(torch.zeros(logits), targets)


def test_it_names_its_options():
    assert str(FocalLoss(counts(), gamma=1.5)) == "FocalLoss(gamma=1.5)"
