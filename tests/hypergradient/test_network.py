"""A network as a function of its parameters, and that nobody can tell that it was evaluated."""

from contextlib import nullcontext
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import jacrev
from torch.utils.checkpoint import checkpoint

from autobalance.batches import Batch
from autobalance.hypergradient import (
    CG,
    FiniteDifference,
    ForwardMode,
    GaussNewton,
    Hessian,
    Neumann,
    hypergradient,
)
from autobalance.hypergradient.network import Network, flat


def estimate(problem, objective, **options):
    return hypergradient(
        problem.model, problem.loss, objective, problem.train, problem.held_out, **options
    )


def assert_same(found, expected):
    """To the last bit, the time that it took aside."""
    for a, b in zip(found.loss, expected.loss, strict=True):
        assert a.equal(b)
    assert found.weight_decay == expected.weight_decay
    assert found.record.value == expected.record.value
    assert all(part.isfinite().all() for part in found.loss)


class Counting(nn.Module):
    """Has a buffer that every pass in training replaces, not changes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.passes = self.passes + 1
        return x


@pytest.fixture
def in_training(make_problem, small_network):
    """A model in the midst of it: gradients, counters, a frozen parameter, a layer in eval mode."""
    model = small_network(
        nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5), Counting(), nn.BatchNorm1d(4)
    )
    model[0].bias.requires_grad_(False)
    model[5].eval()
    problem = make_problem(model)
    with torch.random.fork_rng([]):
        model(problem.train[0].inputs).square().mean().backward()
    return problem


def traces(model):
    """All that could change: values, versions, flags, gradients, modes, the random stream."""
    tensors = model.state_dict(keep_vars=True)
    return {
        "values": {name: (id(t), t.detach().clone()) for name, t in tensors.items()},
        "versions": [t._version for t in tensors.values()],
        "flags": [(p.requires_grad, p.grad) for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "random": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
    }


def assert_untouched(model, before):
    torch.testing.assert_close(traces(model), before, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tangent": FiniteDifference()},
        {"curvature": Hessian(), "solver": Neumann(2, 0.01)},
    ],
)
def test_a_hypergradient_leaves_no_trace(in_training, balanced, mode, options):
    before = traces(in_training.model)
    assert any(gradient is not None for gradient in before["gradients"])
    result = estimate(in_training, balanced, mode=mode, **options)
    assert_untouched(in_training.model, before)
    assert result.record.norm > 0


class Failing:
    """A solver that gives up after it has used the network."""

    def solve(self, draws, right):
        draws(0)(right)
        raise ArithmeticError("given up")


def failing(logits, batches):
    raise ArithmeticError("given up")


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fails", ["objective", "solver"])
def test_an_exception_leaves_no_trace_either(in_training, balanced, mode, fails):
    before = traces(in_training.model)
    objective = failing if fails == "objective" else balanced
    solver = Failing() if fails == "solver" else CG()
    with pytest.raises(ArithmeticError, match="given up"):
        estimate(in_training, objective, mode=mode, solver=solver)
    assert_untouched(in_training.model, before)


def test_training_goes_on_as_if_nothing_had_happened(in_training, balanced):
    def train(problem, look):
        torch.manual_seed(0)
        optimizer = torch.optim.SGD(
            [p for p in problem.model.parameters() if p.requires_grad], 0.1, momentum=0.9
        )
        for _ in range(3):
            optimizer.zero_grad()
            logits = problem.model(problem.train[0].inputs)
            nn.functional.cross_entropy(logits, problem.train[0].targets).backward()
            if look:
                estimate(problem, balanced, mode="train")
            optimizer.step()
        return problem.model.state_dict()

    with torch.random.fork_rng([]):
        watched = train(deepcopy(in_training), True)
        alone = train(in_training, False)
    torch.testing.assert_close(watched, alone, rtol=0, atol=0)


def test_theta_holds_what_is_trained_and_nothing_else(in_training):
    model = in_training.model
    network = Network(model)
    trained = [p for p in model.parameters() if p is not model[0].bias]
    assert network.theta.equal(torch.cat([p.detach().reshape(-1) for p in trained]))
    for part, parameter in zip(network.split(network.theta), trained, strict=True):
        assert part.equal(parameter)
    network.theta.zero_()
    assert network.theta.any()


def test_what_a_gradient_does_not_reach_is_zero():
    like = [torch.ones(2, 2), torch.ones(3)]
    assert flat([None, 2 * like[1]], like).tolist() == [0, 0, 0, 0, 2, 2, 2]


def test_frozen_layers_are_features(make_problem, small_network, balanced):
    problem = make_problem(small_network(), train=(12, 9))
    body, head = problem.model[:2], problem.model[2]
    body.requires_grad_(False)

    def features(batches):
        return [batch._replace(inputs=body(batch.inputs)) for batch in batches]

    expected = hypergradient(
        head, problem.loss, balanced, features(problem.train), features(problem.held_out)
    )
    assert_same(estimate(problem, balanced), expected)


class Tied(nn.Module):
    """The first layer's weight is the second's."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.second(self.first(x).tanh()))


def test_a_tied_weight_is_one_parameter(make_problem):
    problem = make_problem(Tied().double())
    tied, x = problem.model, problem.train[0].inputs

    def logits(weight, first, second, last, bias):
        return ((x @ weight.T + first).tanh() @ weight.T + second) @ last.T + bias

    parts = tied.first.weight, tied.first.bias, tied.second.bias, tied.last.weight, tied.last.bias
    jacobians = jacrev(logits, argnums=tuple(range(5)))(*(part.detach() for part in parts))
    dense = torch.cat([part.flatten(2) for part in jacobians], 2)
    network = Network(tied)
    direction = torch.sin(torch.arange(len(network.theta), dtype=torch.float64))
    with network.undisturbed():
        moved = FiniteDifference()(network, x, direction)
        leaves = network.leaves()
        pulled = torch.autograd.grad(network.logits(x, leaves).sum(), leaves)
    torch.testing.assert_close(moved, dense @ direction, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(flat(pulled, leaves), dense.sum((0, 1)))


def test_a_layer_with_two_names_is_one_layer(make_problem):
    layer = nn.Linear(4, 4)
    problem = make_problem(
        nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 3)).double()
    )
    before = traces(problem.model)
    network, inputs = Network(problem.model), problem.train[0].inputs
    direction = torch.sin(torch.arange(len(network.theta), dtype=torch.float64))
    with network.undisturbed():
        found = ForwardMode()(network, inputs, direction)
    assert_untouched(problem.model, before)
    torch.testing.assert_close(found.reshape(-1), problem.jacobian(inputs) @ direction)


class Several(nn.Module):
    """Takes its input in two parts, and says more than logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, left, right):
        (right,) = right.values()
        return SimpleNamespace(logits=self.model(torch.cat([left, right], 1)), hidden=left)


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_inputs_and_outputs_of_other_shapes(problem, balanced, kind):
    expected = estimate(problem, balanced, mode="train")
    for batches in (problem.train, problem.held_out):
        for place, batch in enumerate(batches):
            left, right = batch.inputs[:, :1], {"rest": batch.inputs[:, 1:]}
            parts = {"left": left, "right": right} if kind is dict else kind((left, right))
            batches[place] = batch._replace(inputs=parts)
    problem.model = Several(problem.model)
    assert_same(estimate(problem, balanced, mode="train"), expected)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_model_in_half_precision_is_evaluated_in_float32(
    make_problem, small_network, balanced, mode, frozen
):
    model = small_network(nn.BatchNorm1d(4), nn.Tanh(), dtype=torch.bfloat16)
    model[0].requires_grad_(not frozen)
    half = make_problem(model, torch.float32)
    wide = make_problem(deepcopy(model).float(), torch.float32)
    for part in ("train", "held_out"):
        batches = [batch._replace(inputs=batch.inputs.bfloat16()) for batch in getattr(half, part)]
        setattr(half, part, batches)
        setattr(wide, part, [b._replace(inputs=b.inputs.float()) for b in batches])
    found = estimate(half, balanced, mode=mode)
    assert_same(found, estimate(wide, balanced, mode=mode))
    assert {part.dtype for part in found.loss} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    "within",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
    ids=["no_grad", "inference_mode", "autocast"],
)
@pytest.mark.parametrize("curvature", [None, Hessian()])
def test_what_the_caller_is_within_changes_nothing(make_problem, balanced, within, curvature):
    problem = make_problem(dtype=torch.float32)
    loss = problem.loss
    options = {"curvature": curvature, "weight_decay": 0.1, "solver": CG(5, 1.0)}

    def result(context):
        with context:
            return hypergradient(
                problem.model, loss, balanced, problem.train, problem.held_out, **options
            )

    found = result(within())
    assert_same(found, result(nullcontext()))
    for part in found.loss:
        assert not part.is_inference()
        assert not part.requires_grad


def test_a_compiled_model_is_looked_through(problem, balanced):
    expected = estimate(problem, balanced)

    def backend(graph, inputs):
        raise AssertionError("the compiled module was called")

    problem.model = torch.compile(problem.model, backend=backend)
    assert_same(estimate(problem, balanced), expected)


def evaluated(network, inputs, draw=0):
    with network.undisturbed(), torch.no_grad():
        return network.logits(inputs, network.leaves(), draw)


def test_a_draw_has_one_dropout_mask_whatever_was_drawn_before(make_problem, small_network):
    model = small_network(nn.Tanh(), nn.Dropout(0.5))
    inputs = make_problem().train[0].inputs
    network = Network(model, "train")
    first = evaluated(network, inputs, 1)
    assert evaluated(network, inputs, 1).equal(first)
    assert not evaluated(network, inputs, 2).equal(first)
    assert not evaluated(Network(model, "train", seed=7), inputs, 1).equal(first)
    assert evaluated(Network(model), inputs).equal(model.eval()(inputs))


class Careless(nn.Module):
    """Drops also in evaluation mode, as dropout's function does unless told otherwise."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.5)


def test_a_model_that_draws_in_evaluation_mode_draws_the_same(make_problem, small_network):
    inputs = make_problem().train[0].inputs
    network = Network(small_network(Careless()))
    assert evaluated(network, inputs).equal(evaluated(network, inputs))
    assert not evaluated(network, inputs).equal(evaluated(network, inputs, 1))


class Merging(nn.Linear):
    """A layer that changes its weight where it is told to evaluate, as some adapters do."""

    def train(self, mode=True):
        if self.training and not mode:
            self.weight.data.mul_(2)
        return super().train(mode)


def test_a_layer_is_not_told_to_evaluate(make_problem, balanced):
    model = nn.Sequential(Merging(4, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    problem = make_problem(model)
    before = traces(model)
    estimate(problem, balanced)
    assert_untouched(model, before)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


@pytest.mark.parametrize("curvature", [GaussNewton(FiniteDifference()), Hessian()])
def test_activation_checkpointing_leaves_no_trace(make_problem, balanced, curvature):
    """The second forward pass is within the backward pass."""
    model = nn.Sequential(Checkpointed(), nn.Linear(4, 3)).double()
    problem = make_problem(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = estimate(
        problem, balanced, mode="train", curvature=curvature, tangent=FiniteDifference()
    )
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert result.record.norm > 0


def test_training_mode_leaves_a_layer_in_eval_mode_there(make_problem, small_network):
    model = small_network(nn.BatchNorm1d(4))
    inputs = make_problem().train[0].inputs
    apart = evaluated(Network(model, "train"), inputs)
    model[1].eval()
    assert evaluated(Network(model, "train"), inputs).equal(evaluated(Network(model), inputs))
    assert not apart.equal(evaluated(Network(model), inputs))


def test_a_batch_need_not_have_groups(make_problem, balanced):
    problem = make_problem()
    problem.values = tuple(value[:, :1] for value in problem.values)
    with_zeros = [b._replace(groups=torch.zeros_like(b.targets)) for b in problem.train]
    without = [Batch(b.inputs, b.targets) for b in problem.train]
    problem.train = without
    found = estimate(problem, balanced)
    problem.train = with_zeros
    assert_same(found, estimate(problem, balanced))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_module_with_two_names_stays_in_the_model(mode):
    layer, norm, tied = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)
    tied.weight = layer.weight
    model = nn.Sequential(layer, norm, nn.Tanh(), layer, norm, tied, nn.Linear(4, 3))
    before = [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    network = Network(model, mode)
    with network.undisturbed():
        network.logits(torch.randn(5, 4), network.leaves())
    assert before == [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    assert norm.num_batches_tracked == 0
