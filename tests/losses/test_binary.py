"""The loss of one logit per decision against PyTorch's, the two-class family, and calculus."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autobalance.augmentation.policy import Policy
from autobalance.batches import Batch
from autobalance.counts import Counts
from autobalance.errors import DataError, DesignError
from autobalance.losses import (
    ParametricBinaryCrossEntropy,
    ParametricCrossEntropy,
    adjusted_binary_cross_entropy,
    adjusted_cross_entropy,
)
from autobalance.losses.presets import preset
from autobalance.multilabel import label_counts

N, L, S = 11, 4, 3


def a_batch(draw, *shape):
    return draw.normal(*shape), draw.codes(2, *shape)


def two_classes(logits, target, values, group=None, n_groups=1, **options):
    """The family itself: every label an example of its own, with logits (0, z)."""
    column = torch.arange(logits.shape[1]) * n_groups
    column = column + (torch.zeros(len(logits), 1).long() if group is None else group[:, None])
    pairs = torch.stack([torch.zeros_like(logits), logits], -1).reshape(-1, 2)
    if target.is_floating_point():
        target = torch.stack([1 - target, target], -1).reshape(-1, 2)
    else:
        target = target.reshape(-1)
    return adjusted_cross_entropy(pairs, target, *values, group=column.reshape(-1), **options)


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, L)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("soft", [False, True])
def test_plain_is_torch_binary_cross_entropy(draw, shape, reduction, soft):
    logits, target = a_batch(draw, *shape)
    target = draw.uniform(*shape) if soft else target
    loss = ParametricBinaryCrossEntropy(reduction=reduction)
    expected = F.binary_cross_entropy_with_logits(logits, target.double(), reduction=reduction)
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("soft", [False, True])
def test_weights_are_those_of_torch(draw, soft):
    """``weight`` of the elements, ``pos_weight`` of the positives among them."""
    logits, target = a_batch(draw, N, L)
    target = draw.uniform(N, L) if soft else target
    weight, ratio = draw.uniform(L) + 0.5, draw.uniform(L) + 0.5
    loss = ParametricBinaryCrossEntropy(torch.stack([weight, weight * ratio]), dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(
        logits, target.double(), weight=weight, pos_weight=ratio
    )
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("soft", [False, True])
def test_it_is_the_two_class_family_with_labels_as_groups(draw, reduction, smoothing, soft):
    logits, target = a_batch(draw, N, L)
    target = draw.uniform(N, L) if soft else target
    values = draw.values((2, L))
    options = {"reduction": reduction, "label_smoothing": smoothing}
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target, *values, **options),
        two_classes(logits, target, values, **options),
    )


def test_groups_of_examples_choose_among_a_labels_columns(draw):
    logits, target = a_batch(draw, N, L)
    values, group = draw.values((2, L * S)), draw.codes(S, N)
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target, *values, group=group),
        two_classes(logits, target, values, group, S),
    )
    logits, target = a_batch(draw, N)
    values = draw.values((2, S))
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target, *values, group=group),
        two_classes(logits[:, None], target[:, None], values, group, S),
    )


def test_only_the_difference_of_l_and_the_positive_delta_act(draw):
    logits, target = a_batch(draw, N, L)
    weight, additive, delta = draw.values((2, L))
    other = torch.stack([draw.uniform(L) + 0.5, delta[1]])
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target, weight, additive + 3.0, other),
        adjusted_binary_cross_entropy(logits, target, weight, additive, delta),
    )


@pytest.mark.parametrize("kind", ["codes", "shares"])
def test_missing_labels_do_not_count(draw, kind):
    logits, target = a_batch(draw, N, L)
    values = draw.values((2, L))
    known = draw.uniform(N, L) > 0.3
    marked = (
        target.where(known, -100) if kind == "codes" else target.double().where(known, torch.nan)
    )
    each = adjusted_binary_cross_entropy(logits, target, *values, reduction="none")
    mean = adjusted_binary_cross_entropy(logits, marked, *values)
    torch.testing.assert_close(mean, each[known].mean())
    nothing = adjusted_binary_cross_entropy(
        logits.requires_grad_(),
        torch.full_like(marked, -100 if kind == "codes" else torch.nan),
        *values,
    )
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("per", [(N,), (N, L)])
def test_sample_weights_scale_decisions_not_the_mean(draw, per):
    logits, target = a_batch(draw, N, L)
    values, factors = draw.values((2, L)), draw.uniform(*per)
    each = adjusted_binary_cross_entropy(logits, target, *values, reduction="none")
    weighted = adjusted_binary_cross_entropy(logits, target, *values, sample_weight=factors)
    torch.testing.assert_close(weighted, (factors.reshape(N, -1) * each).mean())


@pytest.mark.parametrize("other", [torch.bool, torch.uint8, torch.float32])
def test_targets_of_any_kind_are_the_same(draw, other):
    logits, target = a_batch(draw, N, L)
    values = draw.values((2, L))
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target.to(other), *values),
        adjusted_binary_cross_entropy(logits, target, *values),
    )
    one = draw.values((2, 1))
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits[:, :1], target[:, 0].to(other), *one),
        adjusted_binary_cross_entropy(logits[:, 0], target[:, :1], *one),
    )


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_gradients_in_logits_and_all_values(draw, soft, grouped):
    logits, target = a_batch(draw, 3, L)
    target = draw.uniform(3, L) if soft else target
    group = draw.codes(S, 3) if grouped else None
    inputs = [logits, *draw.values((2, L * S if grouped else L))]
    inputs = [values.requires_grad_() for values in inputs]

    def loss(logits, *values):
        return adjusted_binary_cross_entropy(
            logits, target, *values, group=group, label_smoothing=0.1
        )

    assert torch.autograd.gradcheck(loss, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, inputs, fast_mode=True)


@given(
    logits=st.lists(st.floats(-(2.0**93), 2.0**93, width=32), min_size=4, max_size=4),
    weight=st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=2),
    additive=st.lists(st.floats(-(2.0**93), 2.0**93, width=32), min_size=2, max_size=2),
    multiplicative=st.lists(st.floats(2.0**-100, 1e2, width=32), min_size=2, max_size=2),
    soft=st.booleans(),
)
def test_extremes_stay_finite(logits, weight, additive, multiplicative, soft):
    z = torch.tensor(logits).view(2, 2).requires_grad_()
    given = weight, additive, multiplicative
    values = [torch.tensor(each).view(2, 1).requires_grad_() for each in given]
    target = torch.tensor([[0, 1], [1, 0]])
    value = adjusted_binary_cross_entropy(z, target.float() if soft else target, *values)
    assert value.isfinite()
    assert value >= 0
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, [z, *values]))


def test_a_logit_of_minus_infinity_is_never_positive(draw):
    logits = torch.tensor([[-torch.inf, 0.5]], requires_grad=True)
    loss = ParametricBinaryCrossEntropy(reduction="none")
    value = loss(logits, torch.tensor([[0, 1]]))
    assert value[0, 0] == 0
    value.sum().backward()
    assert logits.grad.isfinite().all()


def test_half_precision_is_computed_in_float32(draw):
    logits, target = a_batch(draw, N, L)
    loss = ParametricBinaryCrossEntropy()
    assert loss(logits.bfloat16(), target).dtype == torch.float32
    torch.testing.assert_close(
        loss(logits.bfloat16(), target), loss(logits.bfloat16().float(), target)
    )


def test_a_design_makes_the_loss():
    counts = label_counts(np.array([[1, 0], [0, 0], [0, 1], [0, 1]]), ("rash", "fever"))
    design = preset("group-la", counts)
    loss = ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64)
    assert loss.design is design
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    odds = torch.tensor([1 / 3, 1.0], dtype=torch.float64)  # of the positives of each label
    torch.testing.assert_close(
        loss(z, torch.tensor([[1, 0]])),
        F.binary_cross_entropy_with_logits(z + odds.log(), z.new_tensor([[1, 0]])),
    )
    with pytest.raises(DesignError, match="use ParametricBinaryCrossEntropy"):
        ParametricCrossEntropy.from_design(design)


def test_a_design_of_two_ordinary_classes_serves_one_logit(draw):
    design = preset("logit-adjustment", Counts(np.array([[90.0], [10.0]]), ("no", "yes")))
    logits, target = a_batch(draw, N)
    one = ParametricBinaryCrossEntropy.from_design(design)
    two = ParametricCrossEntropy.from_design(design)
    pairs = torch.stack([torch.zeros_like(logits), logits], 1)
    torch.testing.assert_close(one(logits, target), two(pairs, target))
    three = preset("cross-entropy", Counts(np.ones((3, 1)), (0, 1, 2)))
    with pytest.raises(DesignError, match="has 3 classes but one logit decides between two"):
        ParametricBinaryCrossEntropy.from_design(three)


def test_a_policy_for_labels_is_refused():
    counts = label_counts(np.array([[1, 0], [0, 1]]))
    policy = Policy.ball(np.full(counts.values.shape, 0.1))
    design = replace(preset("cross-entropy", counts), policy=policy)
    with pytest.raises(DesignError, match="of which an example has many"):
        ParametricBinaryCrossEntropy.from_design(design)


@pytest.mark.parametrize("grouped", [False, True])
def test_decisions_cost_what_the_loss_costs(draw, grouped):
    """Rows for the two-class family, missing labels left out; hard shares become codes."""
    logits, target = a_batch(draw, N, L)
    known = draw.uniform(N, L) > 0.3
    group = draw.codes(S, N) if grouped else None
    values = draw.values((2, L * S if grouped else L))
    loss = ParametricBinaryCrossEntropy(*values, dtype=torch.float64)
    for marked in (target.where(known, -100), target.double().where(known, torch.nan)):
        rows, batch = loss.decisions(logits, Batch(None, marked, group))
        assert not batch.targets.is_floating_point()
        torch.testing.assert_close(
            adjusted_cross_entropy(rows, batch.targets, *values, group=batch.groups),
            loss(logits, marked, group),
        )
    shares = draw.uniform(N, L)
    rows, batch = loss.decisions(logits, Batch(None, shares, group))
    torch.testing.assert_close(
        adjusted_cross_entropy(rows, batch.targets, *values, group=batch.groups),
        loss(logits, shares, group),
    )


def test_values_for_all_labels_have_one_column(draw):
    logits, target = a_batch(draw, N, L)
    values = draw.values((2, 1))
    everywhere = [value.expand(2, L) for value in values]
    torch.testing.assert_close(
        adjusted_binary_cross_entropy(logits, target, *values),
        adjusted_binary_cross_entropy(logits, target, *everywhere),
    )
    loss = ParametricBinaryCrossEntropy(*values, dtype=torch.float64)
    _, batch = loss.decisions(logits, Batch(None, target))
    assert not batch.groups.any()


Z, T = torch.zeros(5, 2), torch.zeros(5, 2).long()


@pytest.mark.parametrize(
    ("columns", "logits", "target", "group", "said"),
    [
        (2, Z, T[:, 0], None, r"give 0 or 1 for each label of each example, of shape \(5, 2\)"),
        (2, Z[:, :, None], T, None, r"one floating logit for each label, of shape \(N, L\)"),
        (2, T, T, None, "one floating logit for each label"),
        (3, Z, T, None, "values for 3 labels but logits are float32 of shape"),
        (4, Z, T, None, "one column for each label in each of 2 groups; pass group"),
        (4, Z, T, T, r"group is int64 of shape \(5, 2\)"),
        (4, Z, T, Z[:, 0], "give integer codes from 0 to 1"),
        (4, Z, T, T[:, 0] + 2, "group code 2 is out of range"),
        (2, Z, T + 2, None, "target code 2 is out of range"),
        (
            2,
            Z,
            Z - 1,
            None,
            "target is -1.0 but must be .* mark missing labels with NaN",
        ),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_a_batch_that_does_not_fit_is_refused(columns, logits, target, group, said):
    loss = ParametricBinaryCrossEntropy(torch.ones(2, columns))
    with pytest.raises(DataError, match=said):
        loss(logits, target, group)


@pytest.mark.usefixtures("plain_calls")
def test_one_logit_and_two_classes_names_the_other_loss():
    with pytest.raises(DataError, match="or use ParametricBinaryCrossEntropy in a loop"):
        ParametricCrossEntropy(n_classes=2)(torch.zeros(5, 1), torch.zeros(5).long())


def test_unsigned_targets_are_not_mistaken_for_the_ignored_index():
    with pytest.raises(DataError, match="target code 156 is out of range"):
        ParametricBinaryCrossEntropy()(torch.zeros(1, 1), torch.tensor([[156]], dtype=torch.uint8))


def test_it_compiles_without_graph_breaks(draw, plain_calls):
    logits, target = a_batch(draw, N, L)
    loss = ParametricBinaryCrossEntropy(*draw.values((2, L)), dtype=torch.float64)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(logits, target), loss(logits, target))
