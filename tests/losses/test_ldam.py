"""LDAM is the published formula, and its weights come late."""

import math
import re

import numpy as np
import pytest
import torch

from autobalance.counts import Counts
from autobalance.errors import DataError, DesignError
from autobalance.losses.ldam import LDAMLoss

SIZES = [5000.0, 300.0, 20.0]


def counts(sizes=SIZES):
    return Counts(np.array(sizes)[:, None], tuple(range(len(sizes))))


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = torch.rand(7, 3, generator=generator, dtype=torch.float64) * 2 - 1
    return logits.to(dtype), torch.tensor([0, 2, 1, 1, 0, 2, 0])


def by_hand(logits, targets, weights):
    """Section 3.2, example by example, and the weighted mean of the authors' code."""
    total, mass = 0.0, 0.0
    for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
        margin = 0.5 * SIZES[y] ** -0.25 / 20.0**-0.25
        own = math.exp(30 * (z[y] - margin))
        others = sum(math.exp(30 * z[k]) for k in range(3) if k != y)
        total -= weights[y] * math.log(own / (own + others))
        mass += weights[y]
    return total / mass


def effective_number_weights():
    inverse = [(1 - 0.9999) / (1 - 0.9999**n) for n in SIZES]
    return [w / sum(inverse) * 3 for w in inverse]


def test_it_is_the_published_formula():
    loss, (logits, targets) = LDAMLoss(counts()).double(), batch()
    assert float(loss(logits, targets)) == pytest.approx(by_hand(logits, targets, [1] * 3), 1e-6)
    assert float(loss.margins.max()) == 0.5
    loss.start_epoch(161, 200)
    expected = by_hand(logits, targets, effective_number_weights())
    assert float(loss(logits, targets, torch.zeros(7, dtype=torch.int64))) == pytest.approx(
        expected, 1e-6
    )


def test_the_weights_come_in_the_last_fifth():
    loss = LDAMLoss(counts())
    weighted = []
    for number in [*range(1, 201), 3]:
        loss.start_epoch(number, 200)
        weighted.append(bool((loss.weight != 1).any()))
    assert weighted == [False] * 160 + [True] * 40 + [False]


@pytest.mark.parametrize("options", [{"deferred": 1.0}, {"deferred": 0.0, "beta": 0.0}])
def test_it_need_not_weight(options):
    loss = LDAMLoss(counts(), **options)
    loss.start_epoch(10, 10)
    assert loss.weight.tolist() == [1.0] * 3


def test_groups_are_summed_over():
    parts = np.array([[4000.0, 1000.0], [0.0, 300.0], [19.0, 1.0]])
    with_groups = LDAMLoss(Counts(parts, (0, 1, 2), ("a", "b")))
    assert torch.equal(with_groups.margins, LDAMLoss(counts()).margins)


def test_its_gradient_is_that_of_finite_differences():
    loss, (logits, targets) = LDAMLoss(counts()).double(), batch()
    loss.start_epoch(1, 1)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=dtype).requires_grad_()
    value = LDAMLoss(counts())(logits, torch.tensor([1, 0]))
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_margin": -0.1}, "max_margin is -0.1; it must be finite and not negative"),
        ({"scale": 0.0}, "scale is 0.0; it must be finite and positive"),
        ({"deferred": 1.1}, "deferred is 1.1; it must be a share from 0 to 1"),
        ({"beta": 1.0}, "beta is 1.0 but must be at least 0"),
    ],
    ids=str,
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        LDAMLoss(counts(), **options)


def test_logits_of_other_classes_are_named():
    with pytest.raises(DataError, match=re.escape("logits have shape (2, 4) but this loss has 3")):
        LDAMLoss(counts())(torch.zeros(2, 4), torch.tensor([0, 1]))


@pytest.mark.usefixtures("plain_calls")
def test_targets_that_are_no_codes_of_the_examples_are_named():
    with pytest.raises(DataError, match=re.escape("give class codes of shape (2,)")):
        LDAMLoss(counts())(torch.zeros(2, 3), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_codes_of_any_integer_type_will_do(dtype):
    logits, targets = batch()
    loss = LDAMLoss(counts()).double()
    assert float(loss(logits, targets.to(dtype))) == float(loss(logits, targets))
