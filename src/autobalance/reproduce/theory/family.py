r"""Appendix E's binary loss and equation (2.1), both as the library computes them.

Appendix E trains a single score :math:`f = \theta^T x` with labels :math:`y = \pm 1` by

.. math:: w_y \log \big( 1 + e^{l_y} e^{-\Delta_y y f} \big).

This is not equation (2.1) with two classes. There the exponents are
:math:`l_- - l_+ + \Delta_- f_- - \Delta_+ f_+` and its opposite: one margin for both classes, while
appendix E multiplies the margin of each class by its own Δ. It is equation (4.2) with each class as
a group of its own: logits :math:`(-f/2, f/2)`, :math:`\delta_{kg} = \Delta_g` for both k, and
:math:`l_{kg} = l_g` for k ≠ g and 0 for k = g.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.reproduce.theory.separable import Pair, Points


def appendix_e_loss(
    theta: Float[Tensor, "D"], data: Points, weight: Pair, additive: Pair, multiplicative: Pair
) -> Float[Tensor, ""]:
    """The sum of appendix E's losses."""
    score = torch.from_numpy(data.points) @ theta
    own = torch.tensor(data.labels > 0).long()
    across = torch.tensor([[0.0, additive[0]], [additive[1], 0.0]], dtype=torch.float64)
    return adjusted_cross_entropy(
        torch.stack([-score / 2, score / 2], dim=1),
        own,
        _by_group(weight),
        across,
        _by_group(multiplicative),
        group=own,
        reduction="sum",
    )


def two_logit_loss(
    theta: Float[Tensor, "2 D"], data: Points, weight: Pair, additive: Pair, multiplicative: Pair
) -> Float[Tensor, ""]:
    """The sum of equation (2.1)'s losses; θ holds the vectors of the two logits, positive first."""
    w, l, delta = (
        torch.tensor(pair, dtype=torch.float64)[:, None]
        for pair in (weight, additive, multiplicative)
    )
    own = torch.tensor(data.labels < 0).long()
    logits = torch.from_numpy(data.points) @ theta.T
    return adjusted_cross_entropy(logits, own, w, l, delta, reduction="sum")


def descent_cosine(loss: Tensor, theta: Tensor) -> float:
    """The cosine between θ and the loss's steepest descent, 1 at the optimum on a sphere."""
    (gradient,) = torch.autograd.grad(loss, theta)
    return float(torch.cosine_similarity(-gradient.flatten(), theta.detach().flatten(), dim=0))


def scaled(direction: Float[ndarray, "P"], bound: float) -> Float[Tensor, "P"]:
    """A parameter of this norm."""
    return (bound * torch.from_numpy(direction)).requires_grad_()


def _by_group(pair: Pair) -> Float[Tensor, "2 2"]:
    """Tables whose columns, the groups, hold one value each; the negative class is class 0."""
    return torch.tensor([pair[::-1], pair[::-1]], dtype=torch.float64)
