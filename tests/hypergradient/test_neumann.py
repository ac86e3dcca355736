"""The truncated series against its formula as dense matrices, and where it does not converge."""

import weakref

import pytest
import torch

from autobalance.errors import SearchError
from autobalance.hypergradient import Neumann

SIZE = 6


def matrix(spectrum, seed=0):
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(normal).Q
    return basis * torch.as_tensor(spectrum, dtype=torch.float64) @ basis.T


def fixed(dense):
    return lambda _: lambda vector: dense @ vector


RIGHT = torch.linspace(-1, 2, SIZE, dtype=torch.float64)
SPD = matrix([0.5, 0.7, 1.0, 1.5, 2.0, 4.0])


@pytest.mark.parametrize("terms", [0, 1, 5])
def test_it_is_the_partial_sum_of_the_formula(terms):
    step = 0.1
    decay = torch.eye(SIZE, dtype=torch.float64) - step * SPD
    expected = step * sum(torch.linalg.matrix_power(decay, j) @ RIGHT for j in range(terms + 1))
    solution = Neumann(terms, step).solve(fixed(SPD), RIGHT)
    torch.testing.assert_close(solution.value, expected)
    assert (solution.step, solution.products) == (step, terms)


def test_it_converges_to_the_solution():
    solution = Neumann(400, "auto").solve(fixed(SPD), RIGHT)
    torch.testing.assert_close(solution.value, torch.linalg.solve(SPD, RIGHT))


def test_every_term_has_a_batch_of_its_own():
    matrices = [matrix([0.1, 0.2, 0.3, 0.5, 0.7, 1.0], seed) for seed in range(4)]
    asked = []

    def draws(number):
        asked.append(number)
        return lambda vector: matrices[number] @ vector

    solution = Neumann(4, 0.5).solve(draws, RIGHT)
    assert asked == [0, 1, 2, 3]
    term, total = RIGHT, RIGHT
    for dense in matrices:
        term = term - 0.5 * dense @ term
        total = total + term
    torch.testing.assert_close(solution.value, 0.5 * total)


def test_one_batch_is_in_memory_at_a_time():
    drawn = []

    def draws(number):
        assert all(operator() is None for operator in drawn)

        def operator(vector):
            return SPD @ vector

        drawn.append(weakref.ref(operator))
        return operator

    Neumann(4, 0.1).solve(draws, RIGHT)
    assert len(drawn) == 4


def test_a_fixed_batch_is_drawn_once():
    asked = []

    def draws(number):
        asked.append(number)
        return lambda vector: SPD @ vector

    Neumann(4, 0.1, batches="fixed").solve(draws, RIGHT)
    assert asked == [0]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_an_automatic_step_follows_the_scale_of_the_curvature(scale):
    largest = 4.0 * scale
    solution = Neumann(5).solve(fixed(scale * SPD), RIGHT)
    assert 1 / largest <= solution.step <= 2 / largest
    assert solution.products == 5 + 2


@pytest.mark.parametrize("iterations", [1, 30])
def test_more_power_iterations_find_the_largest_eigenvalue(iterations):
    solution = Neumann(5, power_iterations=iterations).solve(fixed(SPD), RIGHT)
    assert (solution.step == pytest.approx(1 / 4)) == (iterations == 30)


def test_a_step_that_is_too_long_is_halved_until_no_term_grows():
    solution = Neumann(200, 3.0).solve(fixed(SPD), RIGHT)
    assert solution.step == 3 / 8  # times λ_max this is 1.5
    assert solution.products > 200
    torch.testing.assert_close(solution.value, torch.linalg.solve(SPD, RIGHT))


@pytest.mark.parametrize("step", ["auto", 0.5])
@pytest.mark.parametrize("curvature", [-1.0, float("nan"), float("inf")])
def test_growth_that_halving_cannot_stop_is_an_error_with_a_remedy(step, curvature):
    with pytest.raises(SearchError, match="Gauss–Newton"):
        Neumann(5, step).solve(lambda _: lambda vector: curvature * vector, RIGHT)


def test_no_right_hand_side_no_solution():
    assert not Neumann().solve(fixed(SPD), 0 * RIGHT).value.any()


def test_without_curvature_the_automatic_step_is_1():
    solution = Neumann(2).solve(lambda _: torch.zeros_like, torch.ones(3))
    assert (solution.step, solution.value.tolist()) == (1.0, [3.0, 3.0, 3.0])


@pytest.mark.parametrize("option", [{"step": "atuo"}, {"batches": "new"}], ids=str)
def test_words_that_mean_nothing_are_refused(option):
    with pytest.raises(SearchError, match="is '"):
        Neumann(**option)
