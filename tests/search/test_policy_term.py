"""What a policy adds to a hypergradient: differences for probabilities, slopes for magnitudes."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.batches import Batch
from autobalance.hypergradient.augmented import AlongDirection, through_inputs
from autobalance.hypergradient.logit_loss import AutogradLoss
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.tangent import ForwardMode
from autobalance.search.policy_term import PolicyTerm

K, N = 3, 12
Y = torch.arange(N) % K
IMAGES = 0.3 + 0.3 * torch.rand(N, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
BATCH = Batch(IMAGES, Y, None)
OTHER = Batch(IMAGES.flip(0, 3), Y.flip(0), None)


def a_model():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 2, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, K)]
    return nn.Sequential(*layers).double()


MODEL = a_model()
P = torch.linspace(-1, 1, sum(each.numel() for each in MODEL.parameters()), dtype=torch.float64)
LOSS = AutogradLoss(lambda logits, batch: cross_entropy(logits, batch.targets), ())
ALONG = AlongDirection(Network(MODEL), LOSS, ForwardMode(), P)


def h(images, y=Y):
    """⟨∇_θ L, p⟩ example by example, each loss divided by their number."""
    losses = cross_entropy(MODEL(images), y, reduction="none") / len(y)
    theta = list(MODEL.parameters())
    slopes = [torch.autograd.grad(loss, theta, retain_graph=True) for loss in losses]
    return torch.stack([parameters_to_vector(slope) @ P for slope in slopes])


def policy_of(*chains, probability=None, strength=0.4):
    policy = Policy.uniform(K, 1, chains, strength=strength)
    if probability is None:
        shape = policy.probability.shape
        probability = np.random.default_rng(0).uniform(0.3, 0.7, shape)
    probability = np.broadcast_to(probability, policy.probability.shape)
    return Policy(policy.sub_policies, probability, policy.magnitude)


def module_of(policy):
    return PolicyAugmentation(policy).double()


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


class Fixed(PolicyAugmentation):
    """Draws what it is told."""

    def draw(self, inputs, generator=None):
        return self.parts


def by_cell(values, members=slice(None), y=Y):
    return torch.stack([values[members][y[members] == k].sum() for k in range(K)])


@pytest.mark.parametrize("name", ["invert", "solarize", "equalize", "rotate"])
def test_a_single_operation_s_probability_is_exact_whatever_was_decided(name):
    module = module_of(policy_of((name,), strength=0.9))
    found = []
    for noise in (-50.0, 50.0, None):
        (part,) = module.draw(IMAGES, seeded())
        fixed = Fixed(module.policy).double()
        drawn = part.noise if noise is None else torch.full_like(part.noise, noise)
        fixed.parts = (part._replace(noise=drawn),)
        found.append(PolicyTerm(fixed, [BATCH], seeded(), None)(ALONG)[0].flatten())
    changed = IMAGES.clone()
    amount = part.amounts[0] * module.magnitude[0, 0, 0, 0]
    changed[part.members] = module.operations[0][0].apply(IMAGES[part.members], amount)
    expected = by_cell(h(changed) - h(IMAGES))
    for each in found:
        torch.testing.assert_close(each, expected)


def test_in_a_chain_its_mean_over_the_decisions_is_the_slope_of_the_expectation():
    chances = (0.3, 0.6)
    policy = policy_of(("contrast", "solarize"), probability=chances, strength=0.9)
    fixed = Fixed(policy).double()
    (part,) = PolicyAugmentation(policy).draw(IMAGES, seeded())
    term, total = 0.0, {}
    for on in product([0, 1], repeat=2):
        noise = torch.tensor([[50.0 if each else -50.0 for each in on]]).double().expand(N, 2)
        fixed.parts = (part._replace(noise=noise),)
        share = np.prod([p if each else 1 - p for p, each in zip(chances, on, strict=True)])
        built = PolicyTerm(fixed, [BATCH], seeded(), None)
        term = term + share * built(ALONG)[0][:, 0, 0]
        total[on] = by_cell(h(built.batches[0].inputs.detach()))
    first = [
        sum((1, -1)[b == 0] * w * total[b, a] for b in (0, 1)) for a, w in ((0, 0.4), (1, 0.6))
    ]
    second = [
        sum((1, -1)[b == 0] * w * total[a, b] for b in (0, 1)) for a, w in ((0, 0.7), (1, 0.3))
    ]
    torch.testing.assert_close(term, torch.stack([sum(first), sum(second)], 1))


def test_sub_policies_and_batches_have_their_own_part():
    """Each example counts for the sub-policy that it drew, and batches are averaged."""
    policy = policy_of(("invert",), ("solarize",), strength=0.9)
    module = module_of(policy)
    generator = seeded()
    draws = [module.draw(IMAGES, generator) for _ in range(2)]
    expected = torch.zeros(K, 2).double()
    for batch, parts in zip((BATCH, OTHER), draws, strict=True):
        for number, part in enumerate(parts):
            x, y = batch.inputs, batch.targets
            changed = x.clone()
            amount = part.amounts[0] * module.magnitude[0, 0, number, 0]
            changed[part.members] = policy.operations[number][0].apply(x[part.members], amount)
            gain = h(changed, y) - h(x, y)
            expected[:, number] += by_cell(gain, part.members, y) / 2
    found, _ = PolicyTerm(module, [BATCH, OTHER], seeded(), None)(ALONG)
    torch.testing.assert_close(found[:, 0, :, 0], expected)


def test_magnitudes_are_what_differences_say_under_the_same_decisions():
    policy = policy_of(("rotate", "brightness"), ("shear-x", "posterize"))
    module = module_of(policy)
    _, found = PolicyTerm(module, [BATCH, OTHER], seeded(), None)(ALONG)
    start = module.magnitude.contiguous().clone()
    expected = torch.zeros_like(start)
    for entry in range(start.numel()):
        ends = []
        step = 1e-6 * float(start.view(-1)[entry])
        for sign in (1, -1):
            moved = start.clone()
            moved.view(-1)[entry] += sign * step
            module.magnitude.copy_(moved)
            batches = PolicyTerm(module, [BATCH, OTHER], seeded(), None).batches
            ends.append(sum(h(b.inputs.detach(), b.targets).sum() for b in batches) / 2)
        expected.view(-1)[entry] = (ends[0] - ends[1]) / (2 * step)
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().mean()))


def test_with_a_temperature_both_have_the_relaxed_slopes():
    module = module_of(policy_of(("rotate", "invert"), ("shear-x", "equalize")))
    found = PolicyTerm(module, [BATCH], seeded(), 0.3)(ALONG)
    leaves = [each.clone().requires_grad_() for each in (module.probability, module.magnitude)]
    inputs = module.relaxed(IMAGES, Y, None, module.draw(IMAGES, seeded()), *leaves, 0.3)
    expected = through_inputs(ALONG, [BATCH._replace(inputs=inputs)], leaves)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.any()


def test_its_batches_are_what_training_sees():
    module = module_of(policy_of(("rotate", "invert"), ("shear-x", "equalize")))
    (batch,) = PolicyTerm(module, [BATCH], seeded(), None).batches
    assert torch.equal(batch.inputs, module(IMAGES, Y, generator=seeded()))
    assert batch.inputs.requires_grad
    assert torch.equal(batch.targets, Y)


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_operations_without_magnitude_have_probabilities(temperature):
    module = module_of(policy_of(("invert", "autocontrast")))
    probability, magnitude = PolicyTerm(module, [BATCH], seeded(), temperature)(ALONG)
    assert (probability[..., 0, 0] != 0).all()
    assert not magnitude.any()


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_a_sure_operation_has_a_magnitude(temperature):
    module = module_of(policy_of(("rotate",), probability=1.0))
    probability, magnitude = PolicyTerm(module, [BATCH], seeded(), temperature)(ALONG)
    assert probability.isfinite().all()
    assert magnitude.isfinite().all()
    assert magnitude.all()


def test_bytes_are_searched_as_what_they_stand_for():
    images = (IMAGES * 255).to(torch.uint8)
    module = module_of(policy_of(("rotate", "solarize")))
    bytes_, floats = (
        PolicyTerm(module, [Batch(x, Y)], seeded(), None).batches[0].inputs
        for x in (images, images.double() / 255)
    )
    torch.testing.assert_close(bytes_, 255 * floats)


def test_the_module_is_left_as_it_was():
    module = module_of(policy_of(("rotate", "invert")))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    stream = torch.get_rng_state()
    PolicyTerm(module, [BATCH], seeded(), None)
    assert torch.equal(torch.get_rng_state(), stream)
    assert not module.probability.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
