"""Changes of the logits against a dense Jacobian, and against differences of the network itself."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from autobalance.hypergradient import CG, FiniteDifference, ForwardMode, hypergradient
from autobalance.hypergradient.network import Network

TANGENTS = [ForwardMode(), FiniteDifference()]


def move(network, inputs, direction, tangent, draw=0):
    with network.undisturbed():
        return tangent(network, inputs, direction, draw)


def logits_there(model, theta, inputs, seed):
    """Logits of a copy of the model at θ, run as training runs it."""
    model = deepcopy(model)
    with torch.no_grad(), torch.random.fork_rng([]):
        vector_to_parameters(theta, model.parameters())
        torch.manual_seed(seed)
        return model(inputs)


def difference(function, at, direction, step=1e-5):
    return (function(at + step * direction) - function(at - step * direction)) / (2 * step)


@pytest.mark.parametrize("tangent", TANGENTS)
def test_it_is_the_jacobian_times_the_direction(problem, vector, tangent):
    inputs = problem.train[0].inputs
    found = move(Network(problem.model), inputs, vector, tangent)
    expected = (problem.jacobian(inputs) @ vector).view_as(found)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.norm()))
    assert not found.requires_grad


def test_forward_mode_is_exact(problem, vector):
    inputs = problem.train[0].inputs
    found = move(Network(problem.model), inputs, vector, ForwardMode())
    torch.testing.assert_close(found.reshape(-1), problem.jacobian(inputs) @ vector)


def test_differences_in_float32_are_right_to_a_hundredth(make_problem, vector):
    problem = make_problem(dtype=torch.float32)
    inputs = problem.train[0].inputs
    found = move(Network(problem.model), inputs, vector.float(), FiniteDifference())
    expected = (problem.jacobian(inputs) @ vector.float()).view_as(found)
    assert (found - expected).norm() <= 1e-2 * expected.norm()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_length_of_the_direction_does_not_matter_to_differences(problem, vector, scale):
    network, inputs = Network(problem.model), problem.train[0].inputs
    plain = move(network, inputs, vector, FiniteDifference())
    scaled = move(network, inputs, scale * vector, FiniteDifference())
    torch.testing.assert_close(scaled / scale, plain, rtol=1e-6, atol=1e-7)


def test_no_direction_no_difference(problem, vector):
    network, inputs = Network(problem.model), problem.train[0].inputs
    assert not move(network, inputs, 0 * vector, FiniteDifference()).any()


def test_differences_at_a_head_that_begins_at_zero(make_problem):
    head = nn.Linear(4, 3).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    problem = make_problem(head)
    direction = torch.linspace(-1, 1, 15, dtype=torch.float64)
    inputs = problem.train[0].inputs
    found = move(Network(head), inputs, direction, FiniteDifference())
    expected = (problem.jacobian(inputs) @ direction).view_as(found)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


class Square(torch.autograd.Function):
    """x² without a forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope


class Squares(nn.Module):
    def forward(self, x):
        return Square.apply(x)


def test_differences_serve_what_has_no_forward_mode(make_problem, small_network, vector):
    network = Network(small_network(Squares()))
    inputs = make_problem().train[0].inputs
    with pytest.raises(RuntimeError):
        move(network, inputs, vector, ForwardMode())
    found = move(network, inputs, vector, FiniteDifference())
    expected = difference(
        lambda theta: logits_there(network.module, theta, inputs, 0), network.theta, vector
    )
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("tangent", TANGENTS)
@pytest.mark.parametrize("draw", [0, 3])
def test_both_sides_have_one_dropout_mask(make_problem, small_network, vector, tangent, draw):
    network = Network(small_network(nn.Tanh(), nn.Dropout(0.5)), "train", seed=5)
    inputs = make_problem().train[0].inputs
    found = move(network, inputs, vector, tangent, draw)
    expected = difference(
        lambda theta: logits_there(network.module, theta, inputs, 5 + draw), network.theta, vector
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tangent", TANGENTS)
def test_batch_norm_in_training_mode_against_differences(make_problem, small_network, tangent):
    network = Network(small_network(nn.BatchNorm1d(4), nn.Tanh()).double(), "train")
    inputs = make_problem().train[0].inputs
    direction = torch.sin(torch.arange(43, dtype=torch.float64))
    found = move(network, inputs, direction, tangent)
    expected = difference(
        lambda theta: logits_there(network.module, theta, inputs, 0), network.theta, direction
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tangent", TANGENTS)
def test_hypergradient_in_training_mode_against_differences(
    make_problem, small_network, balanced, parametric, tangent
):
    """BatchNorm and dropout: all of J, v, p and the mixed term by differences of a copy."""
    model = small_network(nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3)).double()
    problem = make_problem(model)
    batch, decay, seed = problem.train[0], 0.1, 4
    theta = parameters_to_vector(model.parameters()).detach()
    axes = torch.eye(len(theta), dtype=torch.float64)

    def logits(theta):
        return logits_there(model, theta, batch.inputs, seed)

    def held_out(theta):
        return balanced(
            logits_there(deepcopy(model).eval(), theta, problem.held_out[0].inputs, 0),
            problem.held_out,
        )

    jacobian = torch.stack([difference(logits, theta, axis).reshape(-1) for axis in axes], 1)
    v = torch.stack([difference(held_out, theta, axis) for axis in axes])
    z = logits(theta)
    w = torch.func.hessian(lambda z: parametric(z, batch, *problem.values))(z)
    curvature = jacobian.T @ w.view(z.numel(), z.numel()) @ jacobian + decay * torch.eye(len(v))
    p = torch.linalg.solve(curvature, v)

    def slope_along_p(*values):
        return difference(lambda theta: parametric(logits(theta), batch, *values), theta, p, 1e-4)

    found = hypergradient(
        model,
        problem.loss,
        balanced,
        problem.train,
        problem.held_out,
        solver=CG(200, 0.0, 1e-10),
        tangent=tangent,
        weight_decay=decay,
        mode="train",
        seed=seed,
    )
    for place, part in enumerate(found.loss):
        expected = torch.empty_like(part)
        for cell in range(part.numel()):
            step = torch.zeros(part.numel(), dtype=torch.float64)
            step[cell] = 1e-3
            moved = [
                slope_along_p(
                    *(v + s * step.view_as(v) * (i == place) for i, v in enumerate(problem.values))
                )
                for s in (1, -1)
            ]
            expected.view(-1)[cell] = -(moved[0] - moved[1]) / 2e-3
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)
    assert found.weight_decay == pytest.approx(-float(theta @ p), rel=1e-4)
