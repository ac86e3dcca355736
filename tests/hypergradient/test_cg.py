"""Conjugate gradients for several systems against a direct solver."""

import pytest
import torch

from autobalance.hypergradient.cg import conjugate_gradient


def systems(condition=100.0, count=3, size=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(count, size, size, generator=generator).double()).Q
    spectrum = torch.logspace(0, float(torch.tensor(condition).log10()), size).double()
    matrix = basis @ (spectrum[:, None] * basis.mT)
    right = torch.randn(count, size, generator=generator).double()
    return matrix, right


def solve(matrix, right, tolerance=1e-12, diagonal=None, **options):
    if diagonal is None:
        diagonal = matrix.diagonal(dim1=1, dim2=2).clone()
    return conjugate_gradient(
        lambda v: (matrix @ v[..., None])[..., 0],
        right,
        lambda v: v / diagonal,
        tolerance,
        **options,
    )


@pytest.mark.parametrize("condition", [1.0, 100.0, 1e5])
def test_agrees_with_a_direct_solver(condition):
    matrix, right = systems(condition)
    solution = solve(matrix, right)
    torch.testing.assert_close(
        solution.value, torch.linalg.solve(matrix, right), rtol=1e-6, atol=1e-8
    )
    assert (solution.residual <= 1e-12).all()


def test_systems_side_by_side_are_the_systems_one_by_one():
    matrix, right = systems()
    right[1] *= 1e-6  # the target is relative to each right-hand side
    together = solve(matrix, right, 1e-6)
    for f in range(3):
        alone = solve(matrix[f : f + 1], right[f : f + 1], 1e-6)
        torch.testing.assert_close(together.value[f], alone.value[0], rtol=1e-12, atol=0)
    assert together.iterations >= alone.iterations


def test_shapes_beyond_vectors_are_kept():
    matrix, right = systems()
    solution = conjugate_gradient(
        lambda v: (matrix @ v.reshape(3, 12, 1)).reshape(3, 4, 3),
        right.reshape(3, 4, 3),
        lambda v: v,
        1e-12,
    )
    torch.testing.assert_close(
        solution.value.reshape(3, 12), torch.linalg.solve(matrix, right), rtol=1e-6, atol=1e-8
    )


def test_a_zero_right_hand_side_is_solved_by_zero():
    matrix, right = systems()
    right[1] = 0
    solution = solve(matrix, right)
    assert not solution.value[1].any()
    assert solution.residual[1] == 0
    assert solution.value.isfinite().all()
    assert solve(matrix, torch.zeros_like(right)).iterations == 0


def test_an_exact_preconditioner_needs_one_step():
    spectrum = torch.logspace(0, 6, 12).double().expand(3, -1).clone()
    _, right = systems()
    solution = solve(torch.diag_embed(spectrum), right, diagonal=spectrum)
    assert solution.iterations == 1


def test_the_residual_says_how_far_it_came():
    matrix, right = systems(1e5)
    solution = solve(matrix, right, max_iterations=3)
    assert solution.iterations == 3
    left = right - (matrix @ solution.value[..., None])[..., 0]
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    expected = ((left**2 / diagonal).sum(1) / (right**2 / diagonal).sum(1)).sqrt()
    torch.testing.assert_close(solution.residual, expected, rtol=1e-6, atol=0)
    assert (solution.residual > 1e-3).all()
