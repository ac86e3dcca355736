"""The policy's part of a search space: where it starts, what it can reach, and its slopes."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.dictionary import make_dictionary
from autobalance.errors import DesignError
from autobalance.policy_space import POLICY_BOUND, POLICY_PARAMETERS, PolicySpace, searched_in

COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), (0, 1, 2), (0, 1))
DICTIONARIES = ["one", "line", "cell-line", "class", "cell", "cluster:2", "rank:2", "log-prior"]
CHAINS = (("rotate", "invert"), ("posterize", "equalize"))
OF_BALLS = (("ball",),)
MAGNITUDES, OPERATIONS = {CHAINS: 2, OF_BALLS: 1}, {CHAINS: 4, OF_BALLS: 1}


def a_start(chains=CHAINS, seed=0):
    rng = np.random.default_rng(seed)
    policy = Policy.uniform(3, 2, chains)
    probability = rng.uniform(0.2, 0.8, policy.probability.shape)
    return replace(
        policy,
        probability=probability,
        magnitude=policy.magnitude * rng.uniform(0.5, 2, policy.magnitude.shape),
    )


def a_space(chains=CHAINS, parameters=POLICY_PARAMETERS, dictionary="class"):
    made = make_dictionary(dictionary, COUNTS)
    return PolicySpace(a_start(chains), dict.fromkeys(parameters, made))


def alphas(space, values=(0.0,)):
    """Parts filled with these values again and again."""
    return {
        name: torch.from_numpy(np.resize(values, space.size(name)).astype(float))
        for name in space.dictionaries
    }


@pytest.mark.parametrize("chains", [CHAINS, OF_BALLS], ids=["images", "balls"])
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_zero_is_the_start(chains, dictionary):
    space = a_space(chains, dictionary=dictionary)
    probability, magnitude = space.decode(alphas(space))
    np.testing.assert_allclose(probability, space.start.probability, rtol=1e-12)
    np.testing.assert_allclose(magnitude, space.start.magnitude, rtol=1e-12)


@given(
    st.sampled_from([CHAINS, OF_BALLS]),
    st.sampled_from(DICTIONARIES),
    st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    hnp.arrays(np.float64, (2,), elements=st.floats(1e-9, 1 - 1e-9)),
)
def test_every_point_within_the_bounds_is_a_policy(chains, dictionary, places, shares):
    start = Policy.uniform(3, 2, chains, probability=shares[0], strength=shares[1])
    made = make_dictionary(dictionary, COUNTS)
    space = PolicySpace(start, dict.fromkeys(POLICY_PARAMETERS, made))
    parts = alphas(space, POLICY_BOUND * np.array(places))
    probability, magnitude = (values.numpy() for values in space.decode(parts))
    policy = replace(start, probability=probability, magnitude=magnitude)  # or it is refused
    assert ((policy.magnitude > 0) == policy.has_magnitude).all()
    assert (policy.probability > 0).all()


@pytest.mark.parametrize("chains", [CHAINS, OF_BALLS], ids=["images", "balls"])
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_sizes_are_columns_times_operations(chains, dictionary):
    space = a_space(chains, dictionary=dictionary)
    columns = make_dictionary(dictionary, COUNTS).size
    assert space.size("probability") == columns * OPERATIONS[chains]
    assert space.size("magnitude") == columns * MAGNITUDES[chains]


def test_one_moves_all_cells_alike():
    start = Policy.uniform(3, 2, CHAINS, probability=0.3, strength=0.4)
    one = make_dictionary("one", COUNTS)
    space = PolicySpace(start, dict.fromkeys(POLICY_PARAMETERS, one))
    for values in space.decode(alphas(space, [0.7, -1.2, 2.0])):
        assert (values == values[:1, :1]).all()
    assert space.size("probability") == 4


def test_line_contains_one():
    one, line = a_space(dictionary="one"), a_space(dictionary="line")
    parts = alphas(one, [0.7, -1.2, 2.0])
    embedded = {name: torch.cat([part, torch.zeros_like(part)]) for name, part in parts.items()}
    for found, expected in zip(line.decode(embedded), one.decode(parts), strict=True):
        torch.testing.assert_close(found, expected)


def test_along_the_line_the_rarest_and_the_most_frequent_move_apart():
    start = Policy.uniform(3, 2, CHAINS, probability=0.5, strength=0.5)
    space = PolicySpace(start, {"probability": make_dictionary("line", COUNTS)})
    probability, _ = space.decode({"probability": torch.tensor([0.0] * 4 + [2.0] * 4).double()})
    log_odds = probability.logit()[:, 0, 0, 0]  # classes of 50, 30 and 20 examples
    assert log_odds[0] == pytest.approx(2.0)
    assert log_odds[2] == pytest.approx(-2.0)
    middle = 2 * (2 * np.log(30 / 20) / np.log(50 / 20) - 1)
    assert log_odds[1] == pytest.approx(middle)


def test_the_equations_by_hand():
    """Each operation and column has its own entry, column by column."""
    space = a_space(dictionary="class")
    parts = alphas(space, np.linspace(-2, 2, 12))
    probability, magnitude = (values.numpy() for values in space.decode(parts))
    moves = parts["probability"].numpy().reshape(3, 1, 2, 2)
    odds = space.start.probability / (1 - space.start.probability) * np.exp(moves)
    np.testing.assert_allclose(probability, odds / (1 + odds), rtol=1e-12)
    moves = parts["magnitude"].numpy().reshape(3, 1, 2)
    share = space.start.magnitude[..., 0] / [30, 4]
    odds = share / (1 - share) * np.exp(moves)
    np.testing.assert_allclose(magnitude[..., 0], odds / (1 + odds) * [30, 4], rtol=1e-12)
    assert (magnitude[..., 1] == 0).all()


def test_the_logarithm_of_a_radius_moves():
    space = a_space(OF_BALLS, ("magnitude",), "cell")
    move = np.linspace(-2, 2, 6)
    probability, magnitude = space.decode({"magnitude": torch.from_numpy(move)})
    expected = space.start.magnitude * np.exp(move).reshape(3, 2, 1, 1)
    np.testing.assert_allclose(magnitude.numpy(), expected, rtol=1e-12)
    np.testing.assert_array_equal(probability.numpy(), space.start.probability)


@pytest.mark.parametrize("parameters", [("probability",), ("magnitude",)])
def test_what_is_not_searched_stays_exactly(parameters):
    space = a_space(parameters=parameters)
    values = dict(zip(POLICY_PARAMETERS, space.decode(alphas(space, [1.0])), strict=True))
    for name in POLICY_PARAMETERS:
        same = np.array_equal(values[name].numpy(), getattr(space.start, name))
        assert same == (name not in parameters)


@pytest.mark.parametrize("chains", [CHAINS, OF_BALLS], ids=["images", "balls"])
@pytest.mark.parametrize("dictionary", ["line", "cell"])
def test_decoding_is_differentiable(chains, dictionary):
    space = a_space(chains, dictionary=dictionary)
    parts = [part.requires_grad_() for part in alphas(space, [0.3, -0.8, 1.1]).values()]

    def function(*parts):
        return space.decode(dict(zip(POLICY_PARAMETERS, parts, strict=True)))

    assert torch.autograd.gradcheck(function, parts)


def stuck(start, parameter):
    return lambda: PolicySpace(start, {parameter: make_dictionary("one", COUNTS)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            stuck(Policy.ball(np.full((3, 2), 0.5)), "probability"),
            "the probability of ball is 1 for class 0 in group 0, an end of its range, and cannot "
            "be searched from there; start between the ends, or leave probability out",
        ),
        (
            stuck(Policy.uniform(3, 2, CHAINS, strength=0.0), "magnitude"),
            "the magnitude of rotate is 0 for class 0 in group 0, an end of its range, and cannot "
            "be searched from there; start between the ends, or leave magnitude out",
        ),
        (stuck(Policy.uniform(3, 2, CHAINS, strength=1.0), "magnitude"), "rotate is 30 for class"),
        (
            stuck(Policy.ball([[0.5, 0.5]] * 2 + [[0.5, 0.0]]), "magnitude"),
            "ball is 0 for class 2 in",
        ),
        (
            stuck(Policy.uniform(3, 2, [("invert", "equalize")]), "magnitude"),
            "no operation of the policy has a magnitude to search; leave magnitude out",
        ),
    ],
    ids=["sure", "without strength", "largest", "one radius", "no magnitude"],
)
def test_values_that_cannot_move_are_named(make, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        make()


def test_operations_without_magnitude_do_not_hinder_a_search_of_magnitudes():
    space = a_space(parameters=("magnitude",))
    assert (space.start.magnitude[:, :, :, 1] == 0).all()
    assert space.size("magnitude") == 6


def test_which_parameters_are_those_of_a_policy():
    assert searched_in(("magnitude", "additive", "probability")) == ["probability", "magnitude"]
    assert searched_in(("ridge",)) == []
