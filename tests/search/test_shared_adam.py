"""Adam with one scale for all entries of a tensor, against Adam and by hand."""

import copy

import pytest
import torch

from autobalance.search.shared_adam import SharedAdam

SLOPES = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
OPTIONS = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-9}


def moved(optimizer, slopes, tensor=None):
    tensor = torch.zeros(4, dtype=torch.float64) if tensor is None else tensor
    optimizer = optimizer([tensor])
    for slope in slopes:
        tensor.grad = slope.clone()
        optimizer.step()
    return tensor, optimizer


def test_unshared_it_is_adam():
    found, _ = moved(lambda tensors: SharedAdam(tensors, shared=False, **OPTIONS), SLOPES)
    expected, _ = moved(lambda tensors: torch.optim.Adam(tensors, **OPTIONS), SLOPES)
    torch.testing.assert_close(found, expected)


def test_shared_it_is_the_equation():
    found, _ = moved(lambda tensors: SharedAdam(tensors, **OPTIONS), SLOPES)
    mean, square, expected = torch.zeros(4).double(), 0.0, torch.zeros(4).double()
    for number, slope in enumerate(SLOPES, 1):
        mean = 0.8 * mean + 0.2 * slope
        square = 0.95 * square + 0.05 * float((slope**2).sum()) / 4
        scale = (square / (1 - 0.95**number)) ** 0.5 + 1e-9
        expected = expected - 0.03 * mean / (1 - 0.8**number) / scale
    torch.testing.assert_close(found, expected)


def test_an_entry_of_small_slopes_stays():
    slopes = torch.tensor([[1.0, 1e-4]] * 5).double()
    found, _ = moved(lambda tensors: SharedAdam(tensors, lr=0.1), slopes, torch.zeros(2).double())
    assert found[0] == pytest.approx(-0.5 * 2**0.5)
    assert abs(found[1]) < 1e-4


def test_a_tensor_without_a_gradient_stays():
    still, moving = torch.zeros(2), torch.zeros(2)
    moving.grad = torch.ones(2)
    SharedAdam([still, moving], lr=0.1).step()
    assert not still.any()
    assert moving.all()


def test_it_goes_on_from_its_state():
    def make(tensors):
        return SharedAdam(tensors, **OPTIONS)

    whole, _ = moved(make, SLOPES)
    half, optimizer = moved(make, SLOPES[:3])
    state = copy.deepcopy(optimizer.state_dict())

    def resumed(tensors):
        optimizer = make(tensors)
        optimizer.load_state_dict(state)
        return optimizer

    assert torch.equal(moved(resumed, SLOPES[3:], half)[0], whole)
