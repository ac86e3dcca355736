"""The closed forms at the logits against autograd through the equation, and their invariants."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autobalance.batches import Batch
from autobalance.hypergradient import AutogradLoss, ParametricLoss


@st.composite
def cases(draw):
    """Logits, tangents and a batch, with values of the loss; some cells weigh nothing."""
    examples, classes, groups = (draw(st.integers(*ends)) for ends in ((1, 8), (2, 6), (1, 4)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    weight = normal(classes, groups).exp() * (normal(classes, groups) > -1)
    spread = draw(st.sampled_from([0.1, 1.0, 5.0]))
    values = weight, spread * normal(classes, groups), (0.5 * normal(classes, groups)).exp()
    given_groups = groups > 1 or draw(st.booleans())
    batch = Batch(
        torch.empty(examples),
        torch.randint(classes, (examples,), generator=generator),
        torch.randint(groups, (examples,), generator=generator) if given_groups else None,
    )
    return spread * normal(examples, classes), normal(examples, classes), batch, values


def written_out(parametric, values):
    alpha = [value.clone().requires_grad_() for value in values]
    return AutogradLoss(lambda logits, batch: parametric(logits, batch, *alpha), alpha)


def close(found, expected, size=1e-10):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=size)


@settings(max_examples=60)
@given(case=cases())
def test_closed_forms_are_what_autograd_gives(parametric, case):
    logits, tangents, batch, values = case
    closed, autograd = ParametricLoss(*values), written_out(parametric, values)
    close(closed.value(logits, batch), autograd.value(logits, batch).detach())
    close(closed.curvature(logits, batch, tangents), autograd.curvature(logits, batch, tangents))
    for found, expected in zip(
        closed.mixed(logits, batch, tangents),
        autograd.mixed(logits, batch, tangents),
        strict=True,
    ):
        close(found, expected)


@settings(max_examples=30)
@given(case=cases())
def test_curvature_is_the_dense_hessian_and_never_negative(parametric, case):
    logits, tangents, batch, values = case
    size = logits.numel()
    dense = torch.func.hessian(lambda z: parametric(z, batch, *values))(logits).view(size, size)
    product = ParametricLoss(*values).curvature(logits, batch, tangents)
    close(product.reshape(-1), dense @ tangents.reshape(-1))
    assert (tangents * product).sum() >= -1e-12


@settings(max_examples=30)
@given(case=cases())
def test_a_constant_added_to_the_additive_values_changes_nothing(case):
    logits, tangents, batch, values = case
    _, additive, _ = ParametricLoss(*values).mixed(logits, batch, tangents)
    close(additive.sum(0), torch.zeros(additive.shape[1], dtype=torch.float64), 1e-12)


def test_extreme_logits_stay_finite(make_problem):
    problem = make_problem(dtype=torch.float32)
    batch = problem.train[0]
    logits = torch.tensor([1e4, -1e4, 0.0]).expand(len(batch.targets), 3)
    tangents = torch.ones_like(logits)
    for loss in (problem.loss, problem.written_out):
        for part in (
            loss.curvature(logits, batch, tangents),
            *loss.mixed(logits, batch, tangents),
        ):
            assert part.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_codes_of_any_integer_type_are_the_same_codes(problem, dtype):
    batch = problem.train[0]
    small = batch._replace(targets=batch.targets.to(dtype), groups=batch.groups.to(dtype))
    logits = problem.model(batch.inputs).detach()
    tangents = logits.cos()

    def parts(batch):
        loss = problem.loss
        return [
            loss.value(logits, batch),
            loss.curvature(logits, batch, tangents),
            *loss.mixed(logits, batch, tangents),
        ]

    for found, expected in zip(parts(small), parts(batch), strict=True):
        assert found.equal(expected)


def test_values_in_float64_serve_logits_in_float32(problem):
    batch = problem.train[0]
    logits = problem.model(batch.inputs).detach().float()
    mixed = problem.loss.mixed(logits, batch, logits.cos())
    assert problem.loss.curvature(logits, batch, logits.cos()).dtype == torch.float32
    assert {part.dtype for part in mixed} == {torch.float32}


def test_no_alpha_no_gradient(problem):
    """A tensor that the loss does not use, beside one that it does."""
    scale, unused = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = AutogradLoss(
        lambda logits, batch: torch.nn.functional.cross_entropy(scale * logits, batch.targets),
        [unused, scale],
    )
    batch = problem.train[0]
    logits = problem.model(batch.inputs).detach()
    by_unused, by_scale = loss.mixed(logits, batch, logits.cos())
    assert by_unused.equal(torch.zeros_like(unused))
    assert by_scale.all()


def test_a_loss_of_straight_pieces_has_no_curvature(problem):
    """A weighted hinge, whose gradient depends on its weight and not on the logits."""
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    loss = AutogradLoss(lambda logits, _: (scale * (1 - logits).clamp(min=0)).mean(), [scale])
    batch = problem.train[0]
    logits = problem.model(batch.inputs).detach()
    tangents = logits.cos()
    assert not loss.curvature(logits, batch, tangents).any()
    expected = -(tangents * (logits < 1)).mean()
    torch.testing.assert_close(loss.mixed(logits, batch, tangents), (expected,))
