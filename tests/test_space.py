"""The search space: what α = 0 is, what stays fixed under any α, and the way back to a design."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.losses.presets import PRESETS, preset
from autobalance.policy_space import POLICY_PARAMETERS
from autobalance.space import PARAMETERS, RIDGE_BOUNDS, SearchSpace

TOGETHER = ("weight", "additive", "multiplicative", "ridge")
"""All of the loss that can be searched at once: emphasis is for when weight is not."""
CHAINS = (("rotate", "invert"), ("equalize", "posterize"))
COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), ("a", "b", "c"), ("f", "m"))


def a_start(name="group-vs", counts=COUNTS, ridge=0.1):
    return replace(preset(name, counts), ridge=ridge)


def with_policy(start):
    return replace(start, policy=Policy.uniform(*start.counts.values.shape, CHAINS))


@st.composite
def arguments_of_spaces(draw, parametrisations=("exp", "sigmoid")):
    shape = draw(st.tuples(st.integers(2, 5), st.integers(1, 3)))
    values = draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 500)))
    values[:, 0] += 1
    names = ["auto", "class", "cell", "cluster:2", "rank:2", "cell-log-prior", "one", "line"]
    options = (
        draw(
            st.lists(st.sampled_from(PARAMETERS), min_size=1, unique=True).filter(
                lambda names: not {"weight", "emphasis"} <= set(names)
            )
        ),
        draw(st.sampled_from(names)),
        draw(st.sampled_from(parametrisations)),
    )
    places = draw(st.lists(st.floats(0, 1), min_size=1, max_size=50))
    return values, draw(st.sampled_from(sorted(PRESETS))), options, places


def space_and_point(values, start, options, places):
    """A space, and a point at these places between its bounds."""
    groups = None if values.shape[1] == 1 else tuple(range(values.shape[1]))
    counts = Counts(values, tuple(range(len(values))), groups)
    space = SearchSpace.build(with_policy(a_start(start, counts)), *options)
    low, high = np.array(space.bounds).T
    return space, low + np.resize(places, space.dimension) * (high - low)


def decoded(space, alpha):
    return space.decode(torch.from_numpy(np.asarray(alpha, dtype=float)))


def tensors_of(values):
    loss = (values.weight, values.additive, values.multiplicative, values.ridge)
    return (*loss, *values.policy)


@given(arguments_of_spaces())
def test_what_holds_at_every_point(arguments):
    space, alpha = space_and_point(*arguments)
    start, counts = space.start, space.counts
    values = decoded(space, alpha)
    weight, additive, multiplicative = (
        getattr(values, name).numpy() for name in ("weight", "additive", "multiplicative")
    )
    assert (counts.frequencies * weight).sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(additive.mean(0), start.additive.mean(0), rtol=0, atol=1e-9)
    if "multiplicative" in space.parameters and space.parametrisation == "sigmoid":
        assert ((multiplicative > 0) & (multiplicative < 1)).all()
    else:
        assert np.log(multiplicative).mean() == pytest.approx(
            np.log(start.multiplicative).mean(), abs=1e-9
        )
    moved = set(space.parameters)
    moved |= {"weight", "additive"} if "emphasis" in moved else set()
    fixed = {"weight", "additive", "multiplicative"} - moved
    for name in fixed:
        np.testing.assert_allclose(
            getattr(values, name).numpy(), getattr(start, name), rtol=1e-9, atol=0
        )
    for name, found in zip(POLICY_PARAMETERS, values.policy, strict=True):
        same = np.array_equal(found.numpy(), getattr(start.policy, name))
        assert same or name in moved
    if not space.search_ridge:
        assert float(values.ridge) == start.ridge
    else:
        low, high = RIDGE_BOUNDS
        assert low * 0.999 <= float(values.ridge) <= high * 1.001


@given(arguments_of_spaces())
def test_a_design_is_the_start_of_the_same_loss(arguments):
    space, alpha = space_and_point(*arguments)
    design = space.design(alpha)
    assert LossDesign.from_json(design.to_json()) == design
    again = SearchSpace(design, {}, False).design(np.zeros(0))
    for name in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(getattr(again, name), getattr(design, name), rtol=1e-12)
    assert again.ridge == design.ridge


@given(arguments_of_spaces(["exp"]))
def test_zero_is_the_start(arguments):
    space, _ = space_and_point(*arguments)
    design = space.design(np.zeros(space.dimension))
    for name in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(
            getattr(design, name), getattr(space.start, name), rtol=1e-9, atol=1e-12
        )
    assert design.ridge == pytest.approx(space.start.ridge, rel=1e-12)
    for name in POLICY_PARAMETERS:
        np.testing.assert_allclose(
            getattr(design.policy, name), getattr(space.start.policy, name), rtol=1e-12
        )


def test_sigmoid_starts_at_half_the_scale():
    space = SearchSpace.build(a_start(), ("multiplicative",), "cell", "sigmoid")
    start = space.start.multiplicative
    np.testing.assert_allclose(
        space.design(np.zeros(6)).multiplicative, start / start.max() / 2, rtol=1e-12
    )


def test_alpha_acts_through_the_dictionary_as_stated():
    space = SearchSpace.build(a_start("cross-entropy"), dictionary="class")
    assert space.parameters == TOGETHER
    assert (space.dimension, space.n_loss_values, len(space.bounds)) == (10, 9, 10)
    omega, ell, delta = np.array([[0.5, -0.2, 0.1], [1.0, 2.0, -0.6], [0.3, 0.0, -0.9]])
    design = space.design(np.concatenate([omega, ell, delta, [np.log(3)]]))
    weight = np.exp(omega) / (COUNTS.per_class / 100 @ np.exp(omega))
    np.testing.assert_allclose(design.weight, np.stack([weight] * 2, 1), rtol=1e-12)
    np.testing.assert_allclose(design.additive, np.stack([ell - 0.8] * 2, 1), rtol=1e-12)
    np.testing.assert_allclose(design.multiplicative, np.exp(np.stack([delta + 0.2] * 2, 1)))
    assert design.ridge == pytest.approx(0.3)


@pytest.mark.parametrize(
    "parameters",
    [
        *((name,) for name in PARAMETERS if name != "ridge"),
        ("emphasis", "additive", "multiplicative"),
        TOGETHER,
        (*TOGETHER, *POLICY_PARAMETERS),
    ],
)
@pytest.mark.parametrize("dictionary", ["class", "cell", "cluster:2", "log-prior", "cell-rank:3"])
@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
def test_degrees_of_freedom_are_the_rank_of_what_moves(parameters, dictionary, parametrisation):
    space = SearchSpace.build(with_policy(a_start()), parameters, dictionary, parametrisation)

    def moved(alpha):
        values = space.decode(alpha)
        parts = (values.weight.log(), values.additive, values.multiplicative.log())
        return torch.cat([part.reshape(-1) for part in parts])

    slopes = torch.autograd.functional.jacobian(moved, torch.zeros(space.dimension).double())
    assert space.degrees_of_freedom == np.linalg.matrix_rank(slopes.numpy(), tol=1e-9)


@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
@pytest.mark.parametrize(
    "parameters", [TOGETHER, ("emphasis", "additive"), (*TOGETHER, *POLICY_PARAMETERS)]
)
def test_decoding_is_differentiable_with_the_weights_own_chain_rule(parameters, parametrisation):
    start = with_policy(a_start())
    space = SearchSpace.build(start, parameters, "cell-rank:3", parametrisation)
    alpha = torch.linspace(-0.5, 0.6, space.dimension, dtype=torch.float64, requires_grad=True)

    def function(alpha):
        return tensors_of(space.decode(alpha))

    assert torch.autograd.gradcheck(function, alpha)


def test_emphasis_leaves_what_decides_between_the_classes_of_a_group():
    space = SearchSpace.build(a_start(), ("emphasis",), "cell")
    values = decoded(space, [0.5, -1.0, 0.3, 2.0, 0.0, -0.4])
    moved = values.weight.log() - values.additive
    before = torch.from_numpy(np.log(space.start.weight) - space.start.additive)
    change = (moved - before).numpy()
    np.testing.assert_allclose(change, np.broadcast_to(change[0], (3, 2)), atol=1e-12)
    assert not np.allclose(values.weight.numpy(), space.start.weight)


def test_emphasis_leads_from_logit_adjustment_to_inverse_frequencies():
    space = SearchSpace.build(a_start("logit-adjustment"), ("emphasis",), "log-prior")
    end = space.design(np.array([-1.0]))
    weighted = preset("weighted", COUNTS)
    np.testing.assert_allclose(end.weight, weighted.weight)
    np.testing.assert_allclose(end.additive - end.additive.mean(), 0, atol=1e-12)


def test_emphasis_is_one_slope_unless_more_is_asked_for():
    """Beside it, the other parameters get the finest dictionary, as without it."""
    space = SearchSpace.build(a_start(), ("emphasis", "additive"))
    alone = SearchSpace.build(a_start(), ("additive",))
    assert space.dictionaries["emphasis"].name == "cell-log-prior"
    assert space.dictionaries["additive"].name == alone.dictionaries["additive"].name
    without_groups = Counts(np.array([[90.0], [30.0], [9.0]]), ("a", "b", "c"))
    start = replace(preset("logit-adjustment", without_groups), ridge=0.1)
    assert SearchSpace.build(start, ("emphasis",)).dictionaries["emphasis"].name == "log-prior"
    by_class = SearchSpace.build(start, ("emphasis",), "class")
    assert by_class.dictionaries["emphasis"].size == 3


def test_emphasis_and_weight_are_not_searched_together():
    with pytest.raises(DesignError, match="weight beside it is one too many"):
        SearchSpace.build(a_start(), ("weight", "emphasis"))


def test_one_value_for_each_of_thousands_of_classes_takes_little():
    """As matrices the two dictionaries would take a gigabyte, and their rank an hour."""
    counts = Counts(np.arange(8142, 0, -1.0)[:, None], tuple(range(8142)))
    started = time.perf_counter()
    space = SearchSpace.build(a_start("vs", counts), ("additive", "multiplicative"), "class")
    alpha = torch.linspace(-1, 1, space.dimension, dtype=torch.float64, requires_grad=True)
    tracemalloc.start()
    values = space.decode(alpha)
    (values.additive.square().sum() + values.multiplicative.sum()).backward()
    assert space.degrees_of_freedom == 2 * 8141
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6
    assert time.perf_counter() - started < 10  # far more than it takes
    change = alpha[:8142].detach().numpy()
    expected = space.start.additive[:, 0] + change - change.mean()
    np.testing.assert_allclose(values.additive.detach().numpy()[:, 0], expected, rtol=1e-12)


def test_one_dictionary_per_parameter():
    space = SearchSpace.build(
        a_start(), ("additive", "weight"), {"weight": "log-prior", "additive": "cell"}
    )
    assert [(name, d.name) for name, d in space.dictionaries.items()] == [
        ("weight", "log-prior"),
        ("additive", "cell"),
    ]
    assert space.describe()["dictionary"] == "cell, log-prior"


def test_description_says_why():
    description = SearchSpace.build(a_start()).describe()
    assert description["dimension"] == 4
    assert description["parameters"] == list(TOGETHER)
    assert "too few held-out examples (100)" in description["reason"]
    only_ridge = SearchSpace.build(a_start(), ("ridge",)).describe()
    assert only_ridge["reason"] == "only the ridge is searched"
    assert only_ridge["dictionary"] == "none"


def test_a_ridge_outside_the_usual_range_stays_reachable():
    for ridge in (1e-7, 1e4):
        ((low, high),) = SearchSpace.build(a_start(ridge=ridge), ("ridge",)).bounds
        assert low <= 0 <= high


def test_a_policy_is_searched_along_a_line_unless_more_is_asked_for():
    start = with_policy(a_start())
    space = SearchSpace.build(start, ("ridge", *POLICY_PARAMETERS, "additive"))
    names = {name: each.name for name, each in space.all_dictionaries.items()}
    alone = SearchSpace.build(start, ("additive",)).dictionaries["additive"].name
    line = "cell-line"
    assert names == {"additive": alone, "probability": line, "magnitude": line}
    assert space.parameters == ("additive", "probability", "magnitude", "ridge")
    assert space.sizes == {"additive": 1, "probability": 8, "magnitude": 4, "ridge": 1}
    assert (space.dimension, space.n_loss_values) == (14, 13)
    assert space.bounds[1:-1] == [(-6.0, 6.0)] * 12
    assert "the policy follows a line along log frequency" in space.describe()["reason"]
    counts = Counts(np.array([[90.0], [30.0], [9.0]]), ("a", "b", "c"))
    start = with_policy(a_start("vs", counts))
    assert SearchSpace.build(start, ("magnitude",)).sizes == {"magnitude": 4}
    by_class = SearchSpace.build(start, ("magnitude",), {"magnitude": "class"})
    assert by_class.sizes == {"magnitude": 6}


def test_each_part_of_alpha_moves_its_own_parameter():
    space = SearchSpace.build(with_policy(a_start()), (*TOGETHER, *POLICY_PARAMETERS), "one")
    start = decoded(space, np.zeros(space.dimension))
    place = 0
    for name, size in space.sizes.items():
        alpha = np.zeros(space.dimension)
        alpha[place : place + size] = 0.5
        place += size
        values = decoded(space, alpha)
        pairs = zip(tensors_of(values), tensors_of(start), strict=True)
        moved = [not torch.allclose(found, before) for found, before in pairs]
        names = (*TOGETHER, *POLICY_PARAMETERS)
        # one value for all of w, l or δ is what the normalisation takes away
        assert moved == [each == name and name not in TOGETHER[:3] for each in names]


def test_a_design_keeps_a_policy_that_is_not_searched():
    start = with_policy(a_start())
    space = SearchSpace.build(start, ("additive",), "class")
    assert space.design(np.ones(3)).policy == start.policy
    assert a_start().policy is SearchSpace.build(a_start()).design(np.zeros(4)).policy is None


def test_detached_values_have_no_graph():
    space = SearchSpace.build(with_policy(a_start()), (*TOGETHER, *POLICY_PARAMETERS))
    alpha = torch.zeros(space.dimension, dtype=torch.float64, requires_grad=True)
    values, detached = space.decode(alpha), space.decode(alpha).detached()
    assert all(each.requires_grad for each in values.policy)
    assert not any(each.requires_grad for each in detached.policy)
    assert all(map(torch.equal, values.policy, detached.policy))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"parameters": ("additive", "magnitude")},
            "magnitude is that of an augmentation policy, and the starting design has none; give",
        ),
        (
            {
                "parameters": ("probability",),
                "start": replace(a_start(), policy=Policy.ball(np.ones((3, 2)))),
            },
            "the probability of ball is 1 for class 0 in group 0, an end of its range",
        ),
        ({"parameters": ()}, "cannot search"),
        ({"parameters": ("weights",)}, "cannot search"),
        ({"parameters": ("weight", "weight")}, "distinct"),
        ({"dictionary": "columns"}, "'columns' is unknown"),
        ({"dictionary": {"weight": "class"}}, "no dictionary is named for 'additive'"),
        ({"parametrisation": "softplus"}, "not 'exp' or 'sigmoid'"),
        ({"start": a_start(ridge=None)}, "has no ridge"),
        ({"dictionary": {"weight": "class", "additive": "class", "ridge": "class"}}, "'ridge'"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, said):
    with pytest.raises(DesignError, match=said):
        SearchSpace.build(**{"start": a_start(), **arguments})
