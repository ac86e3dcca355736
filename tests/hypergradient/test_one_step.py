"""One step takes the right-hand side for the solution."""

import pytest
import torch

from autobalance.hypergradient import OneStep


def test_it_scales_the_right_hand_side_and_asks_for_no_operator():
    right = torch.tensor([1.0, -2.0, 3.0])
    solution = OneStep(0.25).solve(lambda _: pytest.fail("an operator was drawn"), right)
    assert solution.value.equal(0.25 * right)
    assert (solution.step, solution.products) == (0.25, 0)
