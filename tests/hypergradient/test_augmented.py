"""Hypergradients of an augmentation against differences under the same draws, and retraining."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.operations import OPERATIONS, VECTORS
from autobalance.augmentation.policy import Policy
from autobalance.batches import Batch
from autobalance.hypergradient import CG, GaussNewton, Hessian, ParametricLoss, hypergradient
from autobalance.hypergradient.augmented import AlongDirection, through_inputs
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.solvers import Solution
from autobalance.hypergradient.tangent import ForwardMode

CLASSES, GROUPS = 3, 2
WITH_MAGNITUDE = [name for name, each in OPERATIONS.items() if each.largest > 0]
CHAINS = [
    *((name,) for name in WITH_MAGNITUDE),
    ("shear-y", "autocontrast"),
    ("contrast", "rotate"),
]
TEMPERATURE = 0.5
AGREEMENT = 1e-3
EXACT = CG(300, 0.0, 1e-13)


def policy_of(*names, groups=GROUPS):
    """Values of each cell's own, off the ends of their ranges and off whole levels."""
    rng = np.random.default_rng(0)
    shape = (CLASSES, groups, 1, len(names))
    largest = np.array([OPERATIONS[name].largest for name in names])
    largest = np.where(np.isinf(largest), 1.0, largest)
    return Policy((names,), rng.uniform(0.3, 0.7, shape), rng.uniform(0.2, 0.6, shape) * largest)


def examples(takes, size, seed, groups=GROUPS, channels=3):
    """Images between the ends of [0, 1], or vectors; every class is there."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(size) % CLASSES
    group = torch.arange(size) // CLASSES % groups
    if takes == VECTORS:
        inputs = torch.randn(size, 4, dtype=torch.float64, generator=generator)
        inputs += nn.functional.one_hot(targets, 4)
    else:
        shape = (size, channels, 8, 8)
        inputs = 0.3 + 0.3 * torch.rand(shape, dtype=torch.float64, generator=generator)
        for k in range(CLASSES):
            inputs[targets == k, :, 2 * k : 2 * k + 3] += 0.2
    return Batch(inputs, targets, group)


def smooth_network(takes):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        front = (
            [nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)]
            if takes == VECTORS
            else [nn.Conv2d(3, 2, 3), nn.Tanh(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(8, 3)]
        )
    return nn.Sequential(*front).double()


def loss_values(groups=GROUPS):
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(3, CLASSES, groups, generator=generator, dtype=torch.float64)
    return tuple(uniform + torch.tensor([0.5, -0.5, 0.5]).view(3, 1, 1))


def written_out(logits, batch, weight, additive, multiplicative):
    """The parametric loss as its equation reads."""
    y, g = batch.targets, batch.groups
    adjusted = multiplicative.T[g] * logits + additive.T[g]
    return -(weight[y, g] * torch.log_softmax(adjusted, 1)[torch.arange(len(y)), y]).mean()


def balanced(logits, batches):
    targets = torch.cat([batch.targets for batch in batches])
    losses = nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([losses[targets == k].mean() for k in range(CLASSES)]).mean()


@dataclass
class Given:
    """A solver that knows the answer."""

    direction: torch.Tensor

    def solve(self, draws, right):
        return Solution(self.direction, 0)


class Augmented:
    """Batches, each with its draws, and what becomes of them at any values of a policy."""

    def __init__(self, policy, batches, temperature=TEMPERATURE):
        self.augment = PolicyAugmentation(policy).double()
        self.batches, self.temperature = batches, temperature
        generator = torch.Generator().manual_seed(5)
        self.parts = [self.augment.draw(batch.inputs, generator) for batch in batches]
        self.values = [torch.tensor(policy.probability), torch.tensor(policy.magnitude)]

    def at(self, values):
        return [
            batch._replace(inputs=self.augment.relaxed(*batch, parts, *values, self.temperature))
            for batch, parts in zip(self.batches, self.parts, strict=True)
        ]

    def leaves(self):
        leaves = [value.clone().requires_grad_() for value in self.values]
        return self.at(leaves), leaves


def differences(function, values, step):
    """Central ones by each entry of each tensor."""
    slopes = []
    for place, value in enumerate(values):
        slope = torch.zeros_like(value)
        for entry in range(value.numel()):
            ends = []
            for sign in (1, -1):
                moved = [each.clone() for each in values]
                scale = max(1e-2, abs(float(value.view(-1)[entry])))
                moved[place].view(-1)[entry] += sign * step * scale
                ends.append(function(moved))
            slope.view(-1)[entry] = (ends[0] - ends[1]) / (2 * step * scale)
        slopes.append(slope)
    return slopes


def term(batches, values):
    """The input term of batches with a graph back to values."""
    return lambda along: through_inputs(along, batches, values)


def direction_in(network):
    return torch.linspace(-1, 1, len(network.theta), dtype=torch.float64)


def along_p(network, direction=None):
    """Derivatives of the training loss along a direction."""
    direction = direction_in(network) if direction is None else direction
    return AlongDirection(network, ParametricLoss(*loss_values()), ForwardMode(), direction)


def assert_agree(found, expected):
    assert expected.abs().max() > 1e-7
    torch.testing.assert_close(
        found, expected, rtol=AGREEMENT, atol=AGREEMENT * float(expected.abs().mean())
    )


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_the_mixed_term_is_what_differences_say(names):
    """Of ⟨∇_θ L, p⟩ by the values of a policy, with p known: dF/dφ is its negative."""
    policy = policy_of(*names)
    model = smooth_network(policy.takes)
    augmented = Augmented(policy, [examples(policy.takes, n, n) for n in (13, 18)])
    held_out = [examples(policy.takes, 9, 0)]
    values = loss_values()
    theta = list(model.parameters())
    p = torch.randn(
        sum(each.numel() for each in theta),
        generator=torch.Generator().manual_seed(3),
        dtype=torch.float64,
    )

    def slope_along_p(policy_values):
        total = 0.0
        for batch in augmented.at(policy_values):
            loss = written_out(model(batch.inputs), batch, *values)
            slopes = torch.autograd.grad(loss, theta)
            total += float(parameters_to_vector(slopes) @ p)
        return total / 2

    expected = differences(slope_along_p, augmented.values, 1e-6)
    batches, leaves = augmented.leaves()
    found = hypergradient(
        model,
        ParametricLoss(*values),
        balanced,
        batches,
        held_out,
        solver=Given(p),
        input_term=term(batches, leaves),
    )
    for place, name in enumerate(("probability", "magnitude")):
        having = OPERATIONS[names[-1]].largest > 0 or name == "probability"
        assert having or (expected[place][..., -1] == 0).all()
        assert_agree(-found.inputs[place], expected[place])
    norms = [float(part.norm()) for part in (*found.loss, *found.inputs)]
    assert found.record.norm == pytest.approx(np.linalg.norm(norms))


@pytest.fixture(scope="module", params=["images", "vectors"])
def convex(request):
    """A linear model at its optimum, and how the held-out loss moves with the policy."""
    if request.param == "images":
        policy = policy_of("rotate", "brightness", groups=1)
        front = [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)]
    else:
        policy = Policy.ball([[0.3], [0.8], [1.5]])
        front = [nn.Linear(4, CLASSES)]
    return Convex(policy, nn.Sequential(*front).double())


class Convex:
    """Training to the optimum at any values of a policy, by Newton's method."""

    DECAY = 0.02

    def __init__(self, policy, model):
        of = {"groups": 1, "channels": 1}
        self.model, self.values = model, loss_values(1)
        self.augmented = Augmented(policy, [examples(policy.takes, 24, 1, **of)], temperature=0.1)
        self.held_out = examples(policy.takes, 30, 2, **of)
        self.shapes = {name: each.shape for name, each in model.named_parameters()}
        self.start = torch.zeros(sum(each.numel() for each in self.shapes.values())).double()
        self.start = self.optimum(self.augmented.values)
        vector_to_parameters(self.start, model.parameters())
        used = self.augmented.values if policy.takes != VECTORS else self.augmented.values[1:]
        self.fixed = self.augmented.values[: 2 - len(used)]
        self.slopes = differences(self.objective, used, 1e-4)

    def logits(self, theta, inputs):
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        pairs = zip(self.shapes.items(), parts, strict=True)
        state = {name: part.view(shape) for (name, shape), part in pairs}
        return functional_call(self.model, state, (inputs,))

    def optimum(self, policy_values):
        (batch,) = self.augmented.at(policy_values)

        def loss(theta):
            entropy = written_out(self.logits(theta, batch.inputs), batch, *self.values)
            return entropy + self.DECAY * theta.square().sum() / 2

        theta = self.start
        for _ in range(30):
            slope = grad(loss)(theta)
            if slope.norm() < 1e-13:
                return theta
            theta = theta - torch.linalg.solve(hessian(loss)(theta), slope)
        raise AssertionError("Newton's method has not converged")

    def objective(self, policy_values):
        theta = self.optimum([*self.fixed, *policy_values])
        return float(balanced(self.logits(theta, self.held_out.inputs), [self.held_out]))


@pytest.mark.parametrize("curvature", [GaussNewton(), Hessian()], ids=["Gauss-Newton", "Hessian"])
def test_it_is_how_the_retrained_optimum_moves(convex, curvature):
    """By magnitudes, and by probabilities where these are not 1."""
    leaves = [value.clone().requires_grad_() for value in convex.augmented.values]
    moving = leaves[len(convex.fixed) :]
    batches = convex.augmented.at([*convex.fixed, *moving])
    found = hypergradient(
        convex.model,
        ParametricLoss(*convex.values),
        balanced,
        batches,
        [convex.held_out],
        solver=EXACT,
        curvature=curvature,
        weight_decay=convex.DECAY,
        input_term=term(batches, moving),
    )
    assert found.record.residual < 1e-10
    assert found.record.value == pytest.approx(
        convex.objective(convex.augmented.values[-len(moving) :])
    )
    for slope, expected in zip(found.inputs, convex.slopes, strict=True):
        assert_agree(slope, expected)


class Cube(torch.autograd.Function):
    """x³ without a forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * slope


class Cubes(nn.Module):
    def __init__(self, apply):
        super().__init__()
        self.apply_to = apply

    def forward(self, x):
        return self.apply_to(x)


def test_without_forward_mode_it_is_had_by_differentiating_once_more():
    batch = examples(VECTORS, 12, 0)
    found = []
    for cube in (lambda x: x**3, Cube.apply):
        model = smooth_network(VECTORS)
        model[1] = Cubes(cube)
        found.append(along_p(Network(model)).by_inputs(batch))
        assert not found[-1].requires_grad
        assert all(each.grad is None for each in model.parameters())
    assert found[0].abs().min() > 0
    torch.testing.assert_close(found[1], found[0])


def test_each_example_has_its_part_in_the_derivative_along_the_direction():
    batch, model = examples("images", 12, 0), smooth_network("images")
    network = Network(model)
    found = along_p(network).of_examples(batch)
    p, theta = direction_in(network), list(model.parameters())
    for place in range(12):
        own = Batch(*(part[place : place + 1] for part in batch))
        loss = written_out(model(own.inputs), own, *loss_values()) / 12
        slope = parameters_to_vector(torch.autograd.grad(loss, theta)) @ p
        torch.testing.assert_close(found[place], slope)


def test_a_certain_operation_has_no_slope_in_its_probability_and_hides_no_other():
    policy = Policy.ball([[0.3, 0.3], [0.8, 0.8], [1.5, 1.5]])
    augmented = Augmented(policy, [examples(VECTORS, 12, 0)])
    batches, leaves = augmented.leaves()
    by_probability, by_radius = through_inputs(
        along_p(Network(smooth_network(VECTORS))), batches, leaves
    )
    assert not by_probability.any()
    assert by_radius.abs().min() > 1e-7


def test_what_was_not_drawn_has_no_part():
    """Inputs without a graph, and values that no example used."""
    along = along_p(Network(smooth_network("images")))
    augmented = Augmented(policy_of("rotate"), [examples("images", 12, 0)])
    batches, leaves = augmented.leaves()
    alone = through_inputs(along, batches, leaves)
    batches, leaves = augmented.leaves()
    unused = torch.ones(2, requires_grad=True)
    both = [*batches, examples("images", 5, 1)]
    found = through_inputs(along, both, [*leaves, unused])
    assert not found[2].any()
    for half, whole in zip(found, alone, strict=False):
        torch.testing.assert_close(2 * half, whole)


def test_the_loss_s_own_slopes_do_not_depend_on_whether_the_policy_is_searched():
    policy = policy_of("rotate")
    model = smooth_network("images")
    augmented = Augmented(policy, [examples("images", 12, 0)])
    arguments = (model, ParametricLoss(*loss_values()), balanced)
    held_out = [examples("images", 9, 2)]
    batches, leaves = augmented.leaves()
    found = hypergradient(*arguments, batches, held_out, input_term=term(batches, leaves))
    plain = hypergradient(*arguments, augmented.at(augmented.values), held_out)
    assert plain.inputs == ()
    for ours, theirs in zip(found.loss, plain.loss, strict=True):
        assert torch.equal(ours, theirs)
    assert found.weight_decay == plain.weight_decay
    assert found.record.norm > plain.record.norm


def test_a_central_difference_of_input_gradients_is_no_substitute_on_kinks():
    """In float32 the jumps of ReLU within its step are larger than what is wanted."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten())
    network = Network(nn.Sequential(*layers, nn.Linear(8 * 8 * 8, CLASSES)))
    batch = Batch(torch.rand(64, 1, 12, 12), torch.arange(64) % CLASSES)
    ones = torch.ones(CLASSES, 1)
    loss, direction = ParametricLoss(ones, 0 * ones, ones), torch.randn_like(network.theta)
    exact = AlongDirection(network, loss, ForwardMode(), direction).by_inputs(batch)
    step = torch.finfo(torch.float32).eps ** (1 / 3) / 5 * network.theta.norm() / direction.norm()

    def slope(theta):
        inputs = batch.inputs.clone().requires_grad_()
        value = loss.value(network.logits(inputs, network.split(theta)), batch)
        return torch.autograd.grad(value, inputs)[0]

    ahead, behind = (slope(network.theta + sign * step * direction) for sign in (1, -1))
    assert ((ahead - behind) / (2 * step) - exact).norm() > exact.norm()


def test_shares_of_a_batch_add_up_to_the_whole():
    model = smooth_network("images")
    network = Network(model)
    whole = examples("images", 13, 0)
    parts = [
        whole._replace(
            inputs=whole.inputs[rows],
            targets=whole.targets[rows],
            groups=None if whole.groups is None else whole.groups[rows],
        )
        for rows in (slice(0, 5), slice(5, 13))
    ]
    along = along_p(network)
    shares = [replace(along, shares=[share]) for share in (5 / 13, 8 / 13)]
    for name in ("of_examples", "by_inputs"):
        found = [getattr(each, name)(part) for each, part in zip(shares, parts, strict=True)]
        torch.testing.assert_close(torch.cat(found), getattr(along, name)(whole))
