"""Training on all examples with a design: the optimum of the loss that it states."""

import numpy as np
import torch

from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.search.refit import refit


def test_it_trains_on_all_examples(small_data):
    data = small_data.draw(groups=2, weighted=True)
    features = data.features()
    design = data.space("group-vs").design(np.full(4, 0.2))
    theta = refit(features, data.y, data.g, data.sample_weight, design, None, 1e-10, torch.float64)
    coef, intercept = features.to_original(theta)
    weight, additive, multiplicative = (
        torch.from_numpy(getattr(design, name).copy())
        for name in ("weight", "additive", "multiplicative")
    )
    standard = coef * features.scale
    standard.requires_grad_()
    centred = (torch.from_numpy(data.x) - features.mean) / features.scale
    loss = adjusted_cross_entropy(
        centred @ standard.T + intercept + coef @ features.mean,
        torch.from_numpy(data.y),
        weight,
        additive,
        multiplicative,
        group=torch.from_numpy(data.g),
        reduction="none",
    )
    share = torch.from_numpy(data.sample_weight / data.sample_weight.sum())
    total = (share * loss).sum() + design.ridge / 2 * (standard**2).sum()
    (gradient,) = torch.autograd.grad(total, standard)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-9)


def test_it_can_start_from_a_head_it_leaves_alone(small_data):
    data = small_data.draw(groups=2)
    arguments = (data.features(), data.y, data.g, data.sample_weight, data.start())
    theta = refit(*arguments)
    kept = theta.clone()
    again = refit(*arguments, start=theta)
    torch.testing.assert_close(again, theta, rtol=0, atol=1e-5)
    assert torch.equal(theta, kept)
