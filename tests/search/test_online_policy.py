"""The search of an augmentation policy beside a training loop."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.errors import DataError, DesignError
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings

K = 3
Y = torch.arange(60) % 7 % K
X = torch.rand(60, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
for k in range(K):
    X[k == Y, :, 2 * k : 2 * k + 2] *= 0.5
SHOWN, REST = slice(30), slice(30, 60)
COUNTS = Counts(np.array([[48.0], [24.0], [8.0]]), tuple(range(K)))
CHAINS = [("rotate", "invert"), ("autocontrast", "brightness")]
POLICY = Policy.uniform(K, 1, CHAINS, probability=0.5)
BOTH = ("probability", "magnitude")
EVERY_STEP = OnlineSettings(every=1)


def a_design(policy=POLICY):
    return replace(preset("vs", COUNTS), ridge=0.01, policy=policy)


def a_model(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, K)]
    return nn.Sequential(*layers).double()


def a_search(parameters=BOTH, design=None, model=None, held_out=None, **options):
    design = a_design() if design is None else design
    options = {"settings": EVERY_STEP, "dictionary": "class", **options}
    return OnlineSearch(
        a_model() if model is None else model,
        ParametricCrossEntropy.from_design(design, dtype=torch.float64),
        "balanced",
        [(X[REST], Y[REST])] if held_out is None else held_out,
        parameters=parameters,
        augmentation=PolicyAugmentation(design.policy).double(),
        **options,
    )


def values_of(search):
    return {name: getattr(search.augmentation, name).clone() for name in BOTH}


@pytest.mark.parametrize("temperature", [None, 0.1])
@pytest.mark.parametrize("dictionary", ["class", "one", "auto"])
def test_a_policy_moves_and_is_written_into_the_module(dictionary, temperature):
    search = a_search(dictionary=dictionary, settings=replace(EVERY_STEP, temperature=temperature))
    loss = search.loss.additive.clone()
    for _ in range(3):
        before = values_of(search)
        move = search.step(X[SHOWN], Y[SHOWN])
        assert not move.refused
        assert math.isfinite(move.record.norm)
        after = values_of(search)
        moved = {name: before[name] != after[name] for name in BOTH}
        assert moved["probability"].all()
        # one that no example of a class was changed by stays for that class
        assert moved["magnitude"][..., [0, 1], [0, 1]].any(0).all()
        assert not moved["magnitude"][..., [0, 1], [1, 0]].any()  # which have none
        design = search.design()
        for name in BOTH:
            np.testing.assert_allclose(after[name], getattr(design.policy, name), rtol=1e-12)
    if dictionary == "one":
        assert (after["probability"] == after["probability"][:1]).all()
    assert torch.equal(search.loss.additive, loss)
    assert design.policy.sub_policies == POLICY.sub_policies
    assert search.space.start.policy == POLICY


def test_loss_and_policy_move_together():
    search = a_search(("additive", *BOTH))
    before, loss = values_of(search), search.loss.additive.clone()
    assert not search.step(X[SHOWN], Y[SHOWN]).refused
    assert not torch.equal(search.loss.additive, loss)
    for name, value in values_of(search).items():
        assert not torch.equal(value, before[name])


@pytest.mark.parametrize("searched", BOTH)
def test_what_is_not_searched_stays(searched):
    search = a_search((searched,))
    before = values_of(search)
    assert not search.step(X[SHOWN], Y[SHOWN]).refused
    for name, value in values_of(search).items():
        assert torch.equal(value, before[name]) == (name != searched)


def test_where_only_the_loss_is_searched_its_training_examples_are_augmented_all_the_same():
    """With a policy that is sure and always the same, as if the examples were so."""
    policy = Policy.uniform(K, 1, [("invert",)], probability=1.0)
    search = a_search(("additive",), a_design(policy))
    plain = OnlineSearch(
        a_model(),
        ParametricCrossEntropy.from_design(a_design(None), dtype=torch.float64),
        "balanced",
        [(X[REST], Y[REST])],
        parameters=("additive",),
        dictionary="class",
        settings=EVERY_STEP,
    )
    for _ in range(2):
        search.step(X[SHOWN], Y[SHOWN])
        plain.step(1 - X[SHOWN], Y[SHOWN])
    assert (search.augmentation.probability == 1).all()
    np.testing.assert_allclose(search.alpha.vector, plain.alpha.vector, rtol=1e-9)
    assert search.design().policy == policy


@pytest.mark.parametrize("temperature", [None, 0.1])
def test_the_radius_of_a_ball_is_searched(temperature):
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).double()
    x += nn.functional.one_hot(Y, 4)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, K)).double()
    search = a_search(
        ("magnitude",),
        a_design(Policy.ball([[0.5]] * K)),
        model,
        [(x[REST], Y[REST])],
        settings=replace(EVERY_STEP, temperature=temperature),
    )
    for _ in range(3):
        before = values_of(search)
        assert not search.step(x[SHOWN], Y[SHOWN]).refused
        assert (search.augmentation.magnitude != before["magnitude"]).all()
    assert (search.augmentation.probability == 1).all()


@pytest.mark.parametrize("temperature", [None, 0.1])
def test_operations_without_magnitude_are_searched(temperature):
    policy = Policy.uniform(K, 1, [("invert", "autocontrast")])
    settings = replace(EVERY_STEP, temperature=temperature)
    search = a_search(("probability",), a_design(policy), settings=settings)
    assert not search.step(X[SHOWN], Y[SHOWN]).refused
    assert (search.augmentation.probability != 0.5).all()


def test_groups_reach_the_policy():
    counts = Counts(np.array([[30.0, 18.0], [14.0, 10.0], [5.0, 3.0]]), (0, 1, 2), ("a", "b"))
    policy = Policy.uniform(K, 2, [("rotate", "invert")])
    design = replace(preset("group-vs", counts), ridge=0.01, policy=policy)
    groups = torch.arange(60) // 7 % 2
    search = a_search(BOTH, design, held_out=[(X[REST], Y[REST], groups[REST])], dictionary="cell")
    assert not search.step(X[SHOWN], Y[SHOWN], groups[SHOWN]).refused
    probability = search.augmentation.probability
    assert (probability[:, 0] != probability[:, 1]).all()


def test_bytes_are_searched_on():
    class Scaled(nn.Module):
        def forward(self, x):
            return x.double() / 255

    model = nn.Sequential(Scaled(), a_model())
    images = (255 * X).to(torch.uint8)
    search = a_search(model=model, held_out=[(images[REST], Y[REST])])
    before = values_of(search)
    assert not search.step(images[SHOWN], Y[SHOWN]).refused
    for name, value in values_of(search).items():
        assert not torch.equal(value, before[name])


def test_a_step_leaves_the_model_and_the_global_stream_as_they_were():
    search = a_search()
    state = {name: value.clone() for name, value in search.model.state_dict().items()}
    stream = torch.get_rng_state()
    assert not search.step(X[SHOWN], Y[SHOWN]).refused
    assert torch.equal(torch.get_rng_state(), stream)
    for name, value in search.model.state_dict().items():
        assert torch.equal(value, state[name])
    assert all(parameter.grad is None for parameter in search.model.parameters())


def test_it_goes_on_from_its_state():
    search, resumed = a_search(), a_search()
    for rows in (slice(20), slice(10, 30)):
        search.step(X[rows], Y[rows])
    resumed.load_state_dict(search.state_dict())
    for name, value in values_of(search).items():
        assert torch.equal(values_of(resumed)[name], value)
    for each in (search, resumed):
        each.forget_batches()
        each.step(X[SHOWN], Y[SHOWN])
    for ours, theirs in zip(search.history, resumed.history, strict=True):
        np.testing.assert_array_equal(ours.alpha, theirs.alpha)
        assert ours.record.norm == theirs.record.norm
    fresh = a_search()  # other draws would have led elsewhere
    fresh.alpha.load_state_dict(search.alpha.state_dict())
    assert not torch.equal(fresh._draws.get_state(), search._draws.get_state())


def test_a_refused_move_leaves_the_policy():
    search = a_search()
    bad = X[SHOWN].clone()
    bad[3, 0, 1] = torch.nan
    before = values_of(search)
    assert "not finite" in search.step(bad, Y[SHOWN]).refused
    for name, value in values_of(search).items():
        assert torch.equal(value, before[name])


@pytest.fixture
def one_rank():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("parameters", [BOTH, ("additive",)])
def test_a_wrapped_model_moves_alike(one_rank, parameters):
    parallel = a_search(parameters, model=nn.parallel.DistributedDataParallel(a_model()))
    plain = a_search(parameters)
    for search in (parallel, plain):
        assert not search.step(X[SHOWN], Y[SHOWN]).refused
    np.testing.assert_allclose(parallel.alpha.vector, plain.alpha.vector, rtol=1e-12)


# What is refused


def test_policy_and_augmentation_go_together():
    with pytest.raises(DesignError, match="has a policy and nothing augments by it, or the other"):
        OnlineSearch(
            a_model(),
            ParametricCrossEntropy.from_design(a_design()),
            "balanced",
            [(X[REST], Y[REST])],
        )
    with pytest.raises(DesignError, match=r"pass augmentation=PolicyAugmentation\(design\.policy"):
        OnlineSearch(
            a_model(),
            ParametricCrossEntropy.from_design(a_design(None)),
            "balanced",
            [(X[REST], Y[REST])],
            augmentation=PolicyAugmentation(POLICY),
        )


@pytest.mark.parametrize("name", BOTH)
def test_a_policy_that_is_not_there_is_not_searched(name):
    with pytest.raises(DesignError, match=f"{name} is that of an augmentation policy, and the st"):
        OnlineSearch(
            a_model(),
            ParametricCrossEntropy.from_design(a_design(None)),
            "balanced",
            [(X[REST], Y[REST])],
            parameters=(name,),
        )


def test_a_sure_operation_s_probability_is_not_searched():
    with pytest.raises(DesignError, match="the probability of rotate is 1 for class 0 in group 0"):
        a_search(design=a_design(Policy.uniform(K, 1, [("rotate",)], probability=1.0)))


@pytest.mark.usefixtures("plain_calls")
def test_inputs_that_the_policy_cannot_take_are_named():
    with pytest.raises(DataError, match=r"rotate changes images, and the inputs have shape \(30, "):
        a_search(model=nn.Linear(108, K).double()).step(X[SHOWN].flatten(1), Y[SHOWN])


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_is_above_0(temperature):
    with pytest.raises(DataError, match="it must be above 0"):
        OnlineSettings(temperature=temperature)
