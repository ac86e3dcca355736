"""Hypergradients against differences of optima that are found again, and their record."""

import math
import time
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import grad, hessian
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from autobalance.batches import Batch
from autobalance.hypergradient import (
    CG,
    AutogradLoss,
    FiniteDifference,
    GaussNewton,
    Hessian,
    Neumann,
    OneStep,
    hypergradient,
)

DECAY = 0.3
EXACT = CG(200, 0.0, 1e-13)


def estimate(problem, objective, loss=None, **options):
    return hypergradient(
        problem.model, loss or problem.loss, objective, problem.train, problem.held_out, **options
    )


def own_loss(logits, batch, margin, temperature, pull):
    """A loss outside the family: scaled logits with margins, and a pull of the logits to 0."""
    groups = batch.group_codes
    scaled = logits / temperature[groups, None] - margin
    entropy = nn.functional.cross_entropy(scaled, batch.targets)
    return entropy + pull * (logits**2).mean()


OWN_VALUES = (
    torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64),
    torch.tensor([0.8, 1.3], dtype=torch.float64),
    torch.tensor(0.05, dtype=torch.float64),
)


class Convex:
    """A linear head whose training loss has one optimum, and the way there."""

    def __init__(self, make_problem, function, values):
        self.function, self.values = function, values
        self.problem = make_problem(nn.Linear(4, 3).double(), train=(20,))
        self.start = self.problem.theta()
        self.start = self.optimum(values)
        vector_to_parameters(self.start, self.problem.model.parameters())

    def loss(self, theta, values, decay):
        (batch,) = self.problem.train
        logits = self.problem.logits(theta, batch.inputs)
        return self.function(logits, batch, *values) + (decay * theta**2).sum() / 2

    def optimum(self, values, decay=DECAY):
        """By Newton's method."""
        theta = self.start
        for _ in range(30):
            slope = grad(self.loss)(theta, values, decay)
            if slope.norm() < 1e-13:
                return theta
            theta = theta - torch.linalg.solve(hessian(self.loss)(theta, values, decay), slope)
        raise AssertionError("Newton's method has not converged")

    def held_out(self, objective, values, decay=DECAY):
        (batch,) = self.problem.held_out
        logits = self.problem.logits(self.optimum(values, decay), batch.inputs)
        return float(objective(logits, [batch]))

    def losses(self):
        """By autograd, and for the family also in closed form."""
        alpha = [value.clone().requires_grad_() for value in self.values]
        yield AutogradLoss(lambda logits, batch: self.function(logits, batch, *alpha), alpha)
        if self.function is not own_loss:
            yield self.problem.loss

    def differences(self, objective, step=1e-4):
        """dF/dα one value at a time, each with the training done again on both sides."""
        parts = []
        for place, value in enumerate(self.values):
            part = torch.empty_like(value)
            for cell in range(value.numel()):
                ends = []
                for sign in (1, -1):
                    moved = [v.clone() for v in self.values]
                    moved[place].view(-1)[cell] += sign * step
                    ends.append(self.held_out(objective, moved))
                part.view(-1)[cell] = (ends[0] - ends[1]) / (2 * step)
            parts.append(part)
        return tuple(parts)


@pytest.fixture(scope="module", params=["parametric", "own"])
def convex(request, make_problem, parametric):
    if request.param == "own":
        return Convex(make_problem, own_loss, OWN_VALUES)
    return Convex(make_problem, parametric, make_problem().values)


@pytest.fixture(scope="module")
def refitted(convex, balanced):
    """Differences of the held-out objective by α and by the weight decay."""
    by_decay = [convex.held_out(balanced, convex.values, DECAY + s * 1e-4) for s in (1, -1)]
    return convex.differences(balanced), (by_decay[0] - by_decay[1]) / 2e-4


@pytest.mark.parametrize(
    ("curvature", "solver"),
    [
        (GaussNewton(), EXACT),
        (Hessian(), EXACT),
        (GaussNewton(FiniteDifference()), CG(30, 0.0, 1e-6)),
        (GaussNewton(), Neumann(120)),
    ],
)
def test_it_is_how_the_refitted_optimum_moves(convex, refitted, balanced, curvature, solver):
    by_loss, by_decay = refitted
    options = {"curvature": curvature, "solver": solver, "weight_decay": DECAY}
    for loss in convex.losses():
        found = estimate(convex.problem, balanced, loss, **options)
        for part, expected in zip(found.loss, by_loss, strict=True):
            assert (part - expected).norm() <= 1e-5 * expected.norm()
        assert found.weight_decay == pytest.approx(by_decay, rel=1e-5)


def test_entries_without_decay_have_no_part_in_its_derivative(convex, balanced):
    """As biases often have none: the training loss, and μ, are those of the weights."""
    problem = deepcopy(convex.problem)
    decays = torch.cat([torch.ones(12), torch.zeros(3)]).double()
    there = [convex.held_out(balanced, convex.values, (DECAY + s * 1e-4) * decays) for s in (1, -1)]
    theta = convex.optimum(convex.values, DECAY * decays)
    vector_to_parameters(theta, problem.model.parameters())
    found = estimate(
        problem, balanced, next(convex.losses()), solver=EXACT, weight_decay=DECAY * decays
    )
    assert found.weight_decay == pytest.approx((there[0] - there[1]) / 2e-4, rel=1e-5)


def worst(logits, batches):
    """The largest mean cross-entropy of a class."""
    targets = torch.cat([batch.targets for batch in batches])
    losses = nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([losses[targets == k].mean() for k in range(3)]).max()


@pytest.mark.parametrize("kind", ["balanced", "worst"])
def test_held_out_examples_count_together_however_they_are_cut(make_problem, balanced, kind):
    objective = worst if kind == "worst" else balanced
    problem = make_problem(held_out=(7, 5, 3))
    parts = estimate(problem, objective)
    problem.held_out = [Batch(*map(torch.cat, zip(*problem.held_out, strict=True)))]
    whole = estimate(problem, objective)
    torch.testing.assert_close(parts.loss, whole.loss)
    assert parts.record.value == pytest.approx(whole.record.value)
    logits = problem.model(problem.held_out[0].inputs).detach()
    assert whole.record.value == float(objective(logits, problem.held_out))


def test_held_out_graphs_are_no_larger_than_a_training_batch(make_problem, balanced):
    problem = make_problem(train=(6, 4))
    sizes = []

    def note(module, inputs, logits):
        if logits.requires_grad:
            sizes.append(len(logits))

    with problem.model.register_forward_hook(note):
        pieces = estimate(problem, balanced, solver=OneStep())
    assert sorted(sizes) == [3, 6, 6]
    problem.train += make_problem(train=(40,)).train
    whole = estimate(problem, balanced, solver=OneStep())
    assert pieces.record.value == pytest.approx(whole.record.value)
    assert pieces.weight_decay == pytest.approx(whole.weight_decay)  # both are −⟨θ, v⟩


def test_the_mixed_term_is_the_mean_over_the_training_batches(make_problem, balanced):
    problem = make_problem(train=(9, 6))
    together = estimate(problem, balanced, solver=OneStep())
    first, second = problem.train
    problem.train = [first]
    alone = [estimate(problem, balanced, solver=OneStep())]
    problem.train = [second]
    alone.append(estimate(problem, balanced, solver=OneStep()))
    for part, a, b in zip(together.loss, *(result.loss for result in alone), strict=True):
        torch.testing.assert_close(part, (a + b) / 2)


class Asking:
    """One step, which keeps the products of the first four operators with v."""

    def solve(self, draws, right):
        self.products = [draws(number)(right) for number in range(4)]
        return OneStep().solve(draws, right)


@pytest.mark.parametrize("kind", ["loss", "written_out"])
def test_training_batches_are_drawn_in_turn_each_with_its_dropout_mask(
    make_problem, small_network, balanced, kind
):
    """The same examples twice: only the masks differ, and they are those of two seeds."""
    problem = make_problem(small_network(nn.Tanh(), nn.Dropout(0.5)))

    def result(batches, seed):
        problem.train, solver = batches, Asking()
        return (
            estimate(
                problem, balanced, getattr(problem, kind), solver=solver, mode="train", seed=seed
            ),
            solver.products,
        )

    (batch,) = problem.train
    together, products = result([batch, batch], 0)
    (one, of_one), (other, of_other) = (result([batch], seed) for seed in (0, 1))
    assert not of_one[0].equal(of_other[0])
    expected = of_one[0], of_other[0], of_one[0], of_other[0]
    torch.testing.assert_close(products, [*expected], rtol=0, atol=0)
    for part, a, b in zip(together.loss, one.loss, other.loss, strict=True):
        torch.testing.assert_close(part, (a + b) / 2)
    assert together.record.signal == pytest.approx(
        math.hypot(one.record.signal, other.record.signal) / math.sqrt(2)
    )


def test_no_alpha_no_gradient(problem, balanced):
    scale, unused = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = AutogradLoss(
        lambda logits, batch: nn.functional.cross_entropy(scale * logits, batch.targets),
        [unused, scale],
    )
    by_unused, by_scale = estimate(problem, balanced, loss).loss
    assert by_unused.equal(torch.zeros(3, dtype=torch.float64))
    assert by_scale.all()
    assert unused.grad is None
    assert scale.grad is None


@pytest.mark.parametrize("solver", [CG(), Neumann(3)])
def test_the_same_call_gives_the_same_bits(make_problem, small_network, balanced, solver):
    problem = make_problem(small_network(nn.Tanh(), nn.Dropout(0.5)), train=(9, 9))
    options = {"solver": solver, "mode": "train", "weight_decay": 0.1}
    first, second = (estimate(problem, balanced, **options) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.loss, second.loss, strict=True))
    assert first.weight_decay == second.weight_decay
    assert (first.record.norm, first.record.signal) == (second.record.norm, second.record.signal)
    other = estimate(problem, balanced, seed=5, **options)
    assert not first.loss[0].equal(other.loss[0])


def test_the_signal_is_the_size_of_the_examples_slopes(make_problem, parametric, balanced):
    problem = make_problem(train=(8, 8))
    squares = []
    for batch in problem.train:
        logits = problem.model(batch.inputs).detach()
        for i in range(len(logits)):
            one = Batch(*(part[i : i + 1] for part in batch))
            slope = grad(parametric)(logits[i : i + 1], one, *problem.values)
            squares.append(float((slope**2).sum()))
    expected = math.sqrt(sum(squares) / len(squares))
    assert estimate(problem, balanced).record.signal == pytest.approx(expected)
    assert expected > 0.1


def test_without_training_loss_there_is_no_signal(problem, balanced):
    (batch,) = problem.train
    problem.train = [batch._replace(targets=problem.model(batch.inputs).argmax(1))]
    problem.values = tuple(torch.full((3, 2), value).double() for value in (1.0, 0.0, 1.0))
    head = problem.model[-1]
    vector_to_parameters(1e5 * parameters_to_vector(head.parameters()), head.parameters())
    result = estimate(problem, balanced, weight_decay=0.1)
    assert result.record.signal < 1e-9
    assert all(part.isfinite().all() for part in result.loss)


def test_the_record_tells_of_the_solver(make_problem, balanced):
    problem = make_problem(train=(9, 9))
    started = time.perf_counter()
    by_cg = estimate(problem, balanced, solver=CG(4, 0.1, 0.0))
    assert 0 < by_cg.record.seconds <= time.perf_counter() - started
    assert by_cg.record.products == 4
    assert 0 < by_cg.record.residual < 1
    assert math.isnan(by_cg.record.step)
    assert by_cg.record.norm == pytest.approx(
        float(torch.cat([part.reshape(-1) for part in by_cg.loss]).norm())
    )
    by_series = estimate(problem, balanced, solver=Neumann(4, 0.01)).record
    assert (by_series.products, by_series.step) == (4, 0.01)
    assert math.isnan(by_series.residual)
