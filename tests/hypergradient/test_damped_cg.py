"""Damped conjugate gradients against a direct solver."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autobalance.errors import SearchError
from autobalance.hypergradient import CG

SIZE = 6


def system(seed=0):
    generator = torch.Generator().manual_seed(seed)
    root, right = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((SIZE, SIZE), (SIZE,))
    )
    return root @ root.T + torch.eye(SIZE, dtype=torch.float64), right


def fixed(dense):
    return lambda _: lambda vector: dense @ vector


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), damping=st.sampled_from([0.0, 0.1, 10.0]))
def test_it_is_exact_after_as_many_iterations_as_unknowns(seed, damping):
    dense, right = system(seed)
    solution = CG(SIZE, damping, 0.0).solve(fixed(dense), right)
    expected = torch.linalg.solve(dense + damping * torch.eye(SIZE), right)
    torch.testing.assert_close(solution.value, expected, rtol=1e-6, atol=1e-8)
    assert solution.products == SIZE


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_automatic_damping_is_a_share_of_the_curvature_along_the_right_hand_side(scale):
    dense, right = system()
    dense = scale * dense
    damping = 0.3 * (right @ dense @ right) / (right @ right)
    solution = CG(SIZE, "auto", 0.0).solve(fixed(dense), right)
    expected = torch.linalg.solve(dense + damping * torch.eye(SIZE), right)
    torch.testing.assert_close(solution.value, expected)


def test_every_product_is_made_once_and_the_first_is_not_made_twice():
    dense, right = system()
    drawn, made = [], []

    def draws(number):
        drawn.append(number)

        def operator(vector):
            made.append(vector)
            return dense @ vector

        return operator

    solution = CG(4, "auto", 0.0).solve(draws, right)
    assert drawn == [0]
    assert len(made) == solution.products == 4


def test_the_residual_is_that_of_the_damped_system():
    dense, right = system()
    solution = CG(2, 0.5, 0.0).solve(fixed(dense), right)
    left = right - dense @ solution.value - 0.5 * solution.value
    assert solution.residual == pytest.approx(float(left.norm() / right.norm()))
    assert solution.residual > 0.01


def test_it_stops_at_the_tolerance():
    dense, right = system()
    loose = CG(SIZE, 0.0, 0.5).solve(fixed(dense), right)
    assert loose.products < SIZE
    assert loose.residual <= 0.5


@pytest.mark.parametrize("damping", ["auto", 0.0])
def test_negative_curvature_leaves_the_iterate_before_it(damping):
    """One direction is negative; the right-hand side is mostly along a positive one."""
    dense = torch.diag(torch.tensor([1.0, 2.0, -5.0], dtype=torch.float64))
    right = torch.tensor([1.0, 1.0, 0.1], dtype=torch.float64)
    solution = CG(10, damping).solve(fixed(dense), right)
    assert solution.value.isfinite().all()
    assert solution.value @ right > 0
    assert solution.residual > 1e-3


def test_no_right_hand_side_no_solution():
    dense, right = system()
    assert not CG().solve(fixed(dense), 0 * right).value.any()


@pytest.mark.parametrize(
    ("operator", "damping"),
    [(lambda vector: vector * float("nan"), "auto"), (lambda vector: -vector, "auto")],
    ids=["not finite", "negative"],
)
def test_no_answer_is_said_and_not_given_as_zero(operator, damping):
    with pytest.raises(SearchError, match="larger damping"):
        CG(damping=damping).solve(lambda _: operator, torch.ones(3))


def test_a_right_hand_side_of_zero_is_answered():
    solution = CG().solve(lambda _: lambda vector: 2 * vector, torch.zeros(3))
    assert torch.equal(solution.value, torch.zeros(3))


def test_another_word_for_the_damping_is_refused():
    with pytest.raises(SearchError, match="'auto'"):
        CG(damping="atuo")


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_size_of_the_right_hand_side_is_only_a_factor(scale):
    """Its square is beyond float32."""
    dense, right = system()
    expected = CG(4).solve(fixed(dense.float()), right.float()).value
    found = CG(4).solve(fixed(dense.float()), (scale * right).float()).value
    torch.testing.assert_close((found.double() / scale).float(), expected)


def test_without_any_curvature_there_is_nothing_to_act_by():
    """Not with a damping of one's own: then p is v / damping."""
    right = torch.ones(3)
    assert not CG().solve(lambda _: torch.zeros_like, right).value.any()
    torch.testing.assert_close(
        CG(damping=0.5).solve(lambda _: torch.zeros_like, right).value, 2 * right
    )
