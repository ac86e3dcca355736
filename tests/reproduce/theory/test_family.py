"""Both losses against their formulas written out."""

import numpy as np
import pytest
import torch

from autobalance.reproduce.theory.family import (
    appendix_e_loss,
    descent_cosine,
    scaled,
    two_logit_loss,
)
from autobalance.reproduce.theory.separable import separable_points

DATA = separable_points(0, 3, 2, 4)
WEIGHT, ADDITIVE, MULTIPLICATIVE = (2.0, 0.5), (1.0, -0.3), (0.4, 0.9)


def test_appendix_e():
    theta = np.array([0.3, -1.0, 0.7])
    expected = 0.0
    for x, y in zip(*DATA, strict=True):
        w, l, delta = (v[0] if y > 0 else v[1] for v in (WEIGHT, ADDITIVE, MULTIPLICATIVE))
        expected += w * np.log(1 + np.exp(l) * np.exp(-delta * y * theta @ x))
    found = appendix_e_loss(torch.from_numpy(theta), DATA, WEIGHT, ADDITIVE, MULTIPLICATIVE)
    assert float(found) == pytest.approx(expected)


def test_equation_2_1():
    theta = np.array([[0.3, -1.0, 0.7], [0.2, 0.5, -0.4]])
    expected = 0.0
    for x, y in zip(*DATA, strict=True):
        own, other = (0, 1) if y > 0 else (1, 0)
        exponent = ADDITIVE[other] - ADDITIVE[own]
        exponent += MULTIPLICATIVE[other] * theta[other] @ x - MULTIPLICATIVE[own] * theta[own] @ x
        expected += WEIGHT[own] * np.log(1 + np.exp(exponent))
    found = two_logit_loss(torch.from_numpy(theta), DATA, WEIGHT, ADDITIVE, MULTIPLICATIVE)
    assert float(found) == pytest.approx(expected)


def test_descent_cosine():
    theta = scaled(np.array([0.6, 0.8]), 10.0)
    assert float(theta.detach().norm()) == pytest.approx(10)
    assert descent_cosine(-theta.sum(), theta) == pytest.approx(1.4 / np.sqrt(2))
