"""The small convolutional network: its size, its derivatives, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.func import functional_call, grad, jvp

from autobalance.models.small_cnn import SmallCNN


def test_its_size_is_as_documented():
    assert sum(parameter.numel() for parameter in SmallCNN(10).parameters()) == 29_738


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 5, 11), (1, 1, 1)])
def test_images_of_any_size_give_finite_logits(shape):
    torch.manual_seed(0)
    logits = SmallCNN(4, shape[0], shape[1:])(torch.randn(3, *shape))
    assert logits.shape == (3, 4)
    assert torch.isfinite(logits).all()


def test_an_example_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    model, images = SmallCNN(4), torch.randn(5, 1, 28, 28)
    torch.testing.assert_close(model(images)[2:3], model(images[2:3]))


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = SmallCNN(4)
    F.cross_entropy(model(torch.randn(6, 1, 28, 28)), torch.arange(6) % 4).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_products_with_the_hessian_are_differences_of_gradients():
    torch.manual_seed(0)
    model = SmallCNN(3, image_size=(6, 6)).double()
    images, target = torch.randn(5, 1, 6, 6, dtype=torch.float64), torch.arange(5) % 3

    def loss(parameters):
        return F.cross_entropy(functional_call(model, parameters, images), target)

    at = {name: parameter.detach() for name, parameter in model.named_parameters()}
    along = {name: torch.randn_like(value) for name, value in at.items()}
    step = 1e-6
    ahead, behind = (
        grad(loss)({name: at[name] + side * along[name] for name in at}) for side in (step, -step)
    )
    _, product = jvp(grad(loss), (at,), (along,))
    for name in at:
        difference = (ahead[name] - behind[name]) / (2 * step)
        torch.testing.assert_close(product[name], difference, rtol=1e-5, atol=1e-6)


def test_it_learns_the_digits_in_a_few_passes():
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) / 16
    target = torch.from_numpy(labels)
    model = SmallCNN(10, image_size=(8, 8))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        for batch in torch.randperm(1200).split(32):
            optimiser.zero_grad()
            F.cross_entropy(model(images[batch]), target[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        error = (model(images[1200:]).argmax(1) != target[1200:]).float().mean()
    assert error < 0.12
