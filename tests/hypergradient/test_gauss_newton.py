"""Gauss–Newton products against JᵀWJ as a dense matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd.function import once_differentiable

from autobalance.hypergradient import FiniteDifference, GaussNewton, Hessian
from autobalance.hypergradient.network import Network


def products(problem, vectors, curvature, loss=None, place=0):
    network = Network(problem.model)
    with network.undisturbed():
        operator = curvature.at(network, loss or problem.loss, problem.train[place])
        return torch.stack([operator(vector) for vector in vectors])


def dense(problem, parametric):
    batch = problem.train[0]
    z = problem.model(batch.inputs).detach()
    w = torch.func.hessian(lambda z: parametric(z, batch, *problem.values))(z)
    jacobian = problem.jacobian(batch.inputs)
    return jacobian.T @ w.view(z.numel(), z.numel()) @ jacobian


@pytest.mark.parametrize("kind", ["loss", "written_out"])
def test_it_is_the_dense_product(problem, parametric, kind):
    axes = torch.eye(35, dtype=torch.float64)
    found = products(problem, axes, GaussNewton(), getattr(problem, kind))
    torch.testing.assert_close(found, dense(problem, parametric))


def test_with_differences_it_is_nearly_that(problem, parametric, vector):
    (found,) = products(problem, [vector], GaussNewton(FiniteDifference()))
    torch.testing.assert_close(found, dense(problem, parametric) @ vector, rtol=1e-6, atol=1e-8)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_it_is_never_negative_where_the_hessian_is(make_problem, small_network, seed):
    problem = make_problem(small_network(seed=seed))
    vectors = torch.randn(5, 35, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    along = (vectors * products(problem, vectors, GaussNewton())).sum(1)
    assert (along >= -1e-12).all()


def test_for_a_linear_model_it_is_the_hessian(make_problem):
    problem = make_problem(nn.Linear(4, 3).double())
    axes = torch.eye(15, dtype=torch.float64)
    found = products(problem, axes, GaussNewton())
    torch.testing.assert_close(found, products(problem, axes, Hessian()))


def test_a_parameter_that_no_logit_depends_on_gets_zero(make_problem, small_network, vector):
    model = small_network()
    model.register_parameter("idle", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    names = [name for name, _ in model.named_parameters()]
    assert names[0] == "idle"
    longer = torch.cat([torch.ones(2, dtype=torch.float64), vector])
    for curvature in (GaussNewton(), Hessian()):
        (found,) = products(make_problem(model), [longer], curvature)
        (without,) = products(make_problem(), [vector], curvature)
        assert not found[:2].any()
        torch.testing.assert_close(found[2:], without)


class Once(torch.autograd.Function):
    """sin with a forward mode and a single backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        return ctx.saved_tensors[0].cos() * slope

    @staticmethod
    def jvp(ctx, tangent):
        return ctx.saved_tensors[0].cos() * tangent


class Sine(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_it_needs_no_double_backward(make_problem, small_network, vector):
    once = make_problem(small_network(Sine(Once.apply)))
    plain = make_problem(small_network(Sine(torch.sin)))
    found = products(once, [vector], GaussNewton())
    torch.testing.assert_close(found, products(plain, [vector], GaussNewton()))
