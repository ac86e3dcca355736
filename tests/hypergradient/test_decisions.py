"""Networks of several decisions per example: against autograd, and against optima found again."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from autobalance.batches import Batch
from autobalance.hypergradient import (
    CG,
    AutogradLoss,
    LossOfDecisions,
    ParametricLoss,
    hypergradient,
)
from autobalance.losses import (
    ParametricBinaryCrossEntropy,
    ParametricCrossEntropy,
    adjusted_binary_cross_entropy,
    adjusted_cross_entropy,
)

WIDTH, DECAY = 4, 0.3
EXACT = CG(200, 0.0, 1e-13)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def drawn_codes(size, *shape, seed=0):
    return torch.randint(size, shape, generator=torch.Generator().manual_seed(seed))


@dataclass
class Kind:
    """A model, the loss as its users call it, and batches of targets for it."""

    model: nn.Module
    loss: Any
    function: Any
    batch: Any

    def values(self):
        return self.loss.weight, self.loss.additive, self.loss.multiplicative


def values(*shape):
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(3, *shape, generator=generator, dtype=torch.float64)
    return uniform + torch.tensor([0.5, -0.5, 0.5]).view(3, 1, 1)


def of_labels(n_labels, groups=1):
    def batch(size, seed):
        target = drawn_codes(2, size, n_labels, seed=seed)
        target[::4, 0] = -100
        g = drawn_codes(groups, size, seed=seed + 50) if groups > 1 else None
        return Batch(draw(size, WIDTH, seed=seed) + target.clamp(min=0).sum(1)[:, None], target, g)

    loss = ParametricBinaryCrossEntropy(*values(2, n_labels * groups), dtype=torch.float64)
    return Kind(nn.Linear(WIDTH, n_labels).double(), loss, adjusted_binary_cross_entropy, batch)


def of_one_logit():
    kind = of_labels(1)
    kind.model = nn.Sequential(kind.model, nn.Flatten(0))

    def batch(size, seed):
        target = drawn_codes(2, size, seed=seed)
        return Batch(draw(size, WIDTH, seed=seed) + target[:, None], target)

    return Kind(kind.model, kind.loss, kind.function, batch)


def of_pixels(classes=3, groups=2):
    def batch(size, seed):
        target = drawn_codes(classes, size, WIDTH, seed=seed)
        image = draw(size, 2, WIDTH, seed=seed) + target[:, None]
        target[0, :2] = -100
        return Batch(image, target, drawn_codes(groups, size, seed=seed + 50))

    loss = ParametricCrossEntropy(*values(classes, groups), dtype=torch.float64)
    return Kind(nn.Conv1d(2, classes, 1).double(), loss, adjusted_cross_entropy, batch)


KINDS = {
    "labels": lambda: of_labels(3),
    "labels in groups": lambda: of_labels(2, 2),
    "one logit": of_one_logit,
    "pixels": of_pixels,
}


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(0)
    return KINDS[request.param]()


def seen_by_the_search(kind):
    return LossOfDecisions(ParametricLoss(*kind.values()), kind.loss.decisions)


def by_autograd(kind):
    alpha = [value.clone().requires_grad_() for value in kind.values()]
    return AutogradLoss(
        lambda logits, batch: kind.function(logits, batch.targets, *alpha, group=batch.groups),
        alpha,
    )


def test_rows_give_what_autograd_gives_on_the_outputs(kind):
    batch = kind.batch(9, 1)
    logits = kind.model(batch.inputs).detach()
    tangents = draw(*logits.shape, seed=3)
    closed, autograd = seen_by_the_search(kind), by_autograd(kind)
    torch.testing.assert_close(closed.value(logits, batch), autograd.value(logits, batch).detach())
    torch.testing.assert_close(
        closed.curvature(logits, batch, tangents), autograd.curvature(logits, batch, tangents)
    )
    found, expected = (loss.mixed(logits, batch, tangents) for loss in (closed, autograd))
    for part, other in zip(found, expected, strict=True):
        torch.testing.assert_close(part, other)


def held_out_risk(logits, batches):
    """The mean loss over all known decisions, and its square, so that it is not linear."""
    rows = []
    for part, batch in zip(logits.split([len(b.targets) for b in batches]), batches, strict=True):
        target = batch.targets
        if part.shape == target.shape:
            each = F.binary_cross_entropy_with_logits(
                part, target.clamp(min=0).double(), reduction="none"
            )
        else:
            each = F.cross_entropy(part, target, reduction="none")
        rows.append(each[target >= 0])
    return torch.cat(rows).mean() + torch.cat(rows).mean() ** 2


def test_it_is_how_the_refitted_optimum_moves(kind):
    train, held_out = kind.batch(20, 10), [kind.batch(7, 20), kind.batch(4, 21)]
    names = [name for name, _ in kind.model.named_parameters()]
    shapes = [parameter.shape for parameter in kind.model.parameters()]

    def logits(theta, inputs):
        parts = theta.split([shape.numel() for shape in shapes])
        state = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return functional_call(kind.model, state, (inputs,))

    def training_loss(theta, moved):
        value = kind.function(
            logits(theta, train.inputs), train.targets, *moved, group=train.groups
        )
        return value + DECAY * (theta**2).sum() / 2

    def optimum(moved):
        theta = parameters_to_vector(kind.model.parameters()).detach()
        for _ in range(30):
            slope = grad(training_loss)(theta, moved)
            if slope.norm() < 1e-13:
                return theta
            theta = theta - torch.linalg.solve(hessian(training_loss)(theta, moved), slope)
        raise AssertionError("Newton's method has not converged")

    def risk(moved):
        theta = optimum(moved)
        return held_out_risk(torch.cat([logits(theta, b.inputs) for b in held_out]), held_out)

    vector_to_parameters(optimum(kind.values()), kind.model.parameters())
    found = hypergradient(
        kind.model,
        seen_by_the_search(kind),
        held_out_risk,
        [train],
        held_out,
        solver=EXACT,
        weight_decay=DECAY,
    )
    for place, part in enumerate(found.loss):
        expected = torch.empty_like(part)
        for cell in range(part.numel()):
            ends = []
            for sign in (1, -1):
                moved = [value.clone() for value in kind.values()]
                moved[place].view(-1)[cell] += sign * 1e-4
                ends.append(float(risk(moved)))
            expected.view(-1)[cell] = (ends[0] - ends[1]) / 2e-4
        assert (part - expected).norm() <= 1e-5 * expected.norm()


def test_a_batch_without_a_known_label_has_no_part():
    kind = of_labels(2)
    batch = Batch(draw(5, WIDTH), torch.full((5, 2), -100))
    logits = kind.model(batch.inputs).detach()
    loss = seen_by_the_search(kind)
    assert loss.value(logits, batch) == 0
    assert not loss.curvature(logits, batch, logits).any()
    assert not any(part.any() for part in loss.mixed(logits, batch, logits))


def test_ordinary_batches_are_read_as_they_are():
    loss = ParametricCrossEntropy(n_classes=3)
    logits, batch = draw(6, 3), Batch(None, drawn_codes(3, 6), drawn_codes(2, 6))
    rows, read = loss.decisions(logits, batch)
    assert rows is logits
    assert read.targets is batch.targets
    assert read.groups is batch.groups
    soft = Batch(None, draw(6, 3).softmax(1))
    assert loss.decisions(logits, soft)[1].targets is soft.targets


def test_dense_shares_and_groups_become_rows():
    loss = ParametricCrossEntropy(*values(3, 2), dtype=torch.float64)
    logits, shares = draw(4, 3, 2, 5), draw(4, 3, 2, 5, seed=1).softmax(1)
    for group in (drawn_codes(2, 4), drawn_codes(2, 4, 2, 5)):
        rows, batch = loss.decisions(logits, Batch(None, shares, group))
        assert rows.shape == (40, 3)
        torch.testing.assert_close(
            loss(rows, batch.targets, batch.groups), loss(logits, shares, group)
        )
