"""The search beside a user's own loop: what it does to the loss, and what it refuses to do."""

import textwrap
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, Dataset, TensorDataset

import autobalance.search.online as module
from autobalance.counts import Counts
from autobalance.errors import DataError, DesignError, SearchError
from autobalance.hypergradient.damped_cg import CG
from autobalance.hypergradient.gauss_newton import GaussNewton
from autobalance.hypergradient.logit_loss import AutogradLoss
from autobalance.hypergradient.neumann import Neumann
from autobalance.hypergradient.one_step import OneStep
from autobalance.hypergradient.tangent import FiniteDifference
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings

K, WIDTH = 3, 4
X = torch.from_numpy(np.random.default_rng(0).normal(size=(120, WIDTH)))
Y = torch.arange(120) % 7 % K
X += one_hot(Y, WIDTH)
G = torch.arange(120) % 2
SHOWN = slice(60)
HELD_OUT = [(X[60:], Y[60:])]
EVERY_STEP = OnlineSettings(every=1)


def a_design(groups=None):
    values = np.array([[48.0], [24.0], [8.0]])
    if groups:
        values = values * np.array([[0.7, 0.3]])
    counts = Counts(values, tuple(range(K)), groups)
    return replace(preset("vs" if groups is None else "group-vs", counts), ridge=0.01)


def a_model(*last, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, K), *last).double()


def a_loss(**options):
    return ParametricCrossEntropy.from_design(a_design(), dtype=torch.float64, **options)


def a_search(model=None, loss=None, held_out=HELD_OUT, objective="balanced", **options):
    options = {"settings": EVERY_STEP, "dictionary": "class", **options}
    return OnlineSearch(model or a_model(), loss or a_loss(), objective, held_out, **options)


def assert_the_loss_is(search, design):
    for name in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(
            getattr(search.loss, name).numpy(), getattr(design, name), rtol=1e-12, atol=1e-12
        )


# A user's loop


def test_the_loop_of_the_docstring_runs():
    names = vars(module) | {
        "preset": preset,
        "counts": a_design().counts,
        "model": nn.Linear(WIDTH, K),
        "train_loader": DataLoader(TensorDataset(X.float(), Y), 12, shuffle=True),
        "held_out_loader": DataLoader(TensorDataset(X.float(), Y), 40, shuffle=True),
    }
    names["optimizer"] = torch.optim.SGD(names["model"].parameters(), 0.1)
    loop = module.__doc__.partition("owner's::\n")[2]
    exec(textwrap.dedent(loop), names)
    assert [step.refused for step in names["search"].history] == [""]
    start = names["search"].space.start
    assert np.abs(names["design"].additive - start.additive).max() > 0.01


class Several(nn.Module):
    """Takes the features in two parts."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, K).double()

    def forward(self, first, second):
        return self.layer(torch.cat([first, second], 1))


class Parts(Dataset):
    """Items whose inputs are a tuple or a mapping of two parts."""

    def __init__(self, named):
        self.named = named

    def __getitem__(self, place):
        first, second = X[place, :2], X[place, 2:]
        inputs = {"first": first, "second": second} if self.named else (first, second)
        return inputs, Y[place]

    def __len__(self):
        return len(X)


@pytest.mark.parametrize("named", [True, False], ids=["mapping", "tuple"])
def test_models_of_several_inputs_move_the_loss_as_the_same_model_of_one_does(named):
    several = Several()
    plain = nn.Sequential(nn.Linear(WIDTH, K).double())
    plain[0].load_state_dict(several.layer.state_dict())
    loader = DataLoader(Parts(named), 40)
    search, expected = (
        a_search(several, held_out=loader),
        a_search(plain, held_out=DataLoader(TensorDataset(X, Y), 40)),
    )
    for place, (inputs, targets) in enumerate(loader):
        rows = slice(40 * place, 40 * place + 40)
        assert not search.step(inputs, targets).refused
        expected.step(X[rows], Y[rows])
    np.testing.assert_allclose(search.alpha.vector, expected.alpha.vector, rtol=1e-9)


def test_it_moves_after_the_warm_up_and_then_every_few_steps():
    search = a_search(settings=OnlineSettings(warm_up=3, every=2))
    moves = [search.step(X[SHOWN], Y[SHOWN]) for _ in range(9)]
    assert [place for place, move in enumerate(moves, 1) if move] == [5, 7, 9]
    assert [move.iteration for move in search.history] == [5, 7, 9]


@pytest.mark.parametrize("parametrisation", ["exp", "sigmoid"])
def test_the_loss_follows_alpha_and_is_the_design(parametrisation):
    search = a_search(
        parameters=("weight", "additive", "multiplicative"), parametrisation=parametrisation
    )
    for _ in range(4):
        before = search.loss.additive.clone()
        assert not search.step(X[SHOWN], Y[SHOWN]).refused
        assert not torch.equal(search.loss.additive, before)
        assert_the_loss_is(search, search.design())
        np.testing.assert_array_equal(search.history[-1].alpha, search.alpha.vector)
    design = search.design()
    assert (design.counts.frequencies * design.weight).sum() == pytest.approx(1)
    assert ParametricCrossEntropy.from_design(design).design is design


def test_a_step_leaves_the_model_and_every_random_stream_as_they_were():
    model = a_model(nn.BatchNorm1d(K), nn.Dropout(0.5)).double().train()
    model[1].eval()
    loader = DataLoader(TensorDataset(X, Y), 40, shuffle=True)
    search = a_search(model, held_out=loader, settings=replace(EVERY_STEP, mode="train"))
    modes = [part.training for part in model.modules()]
    for _ in range(4):
        state = {name: value.clone() for name, value in model.state_dict().items()}
        stream = torch.get_rng_state()
        assert not search.step(X[SHOWN], Y[SHOWN]).refused
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
        assert [part.training for part in model.modules()] == modes
        assert all(parameter.grad is None for parameter in model.parameters())
        assert torch.equal(torch.get_rng_state(), stream)


def test_it_goes_on_from_its_state():
    def of(seed):
        schedule = lambda optimizer: ExponentialLR(optimizer, 0.9)  # noqa: E731
        return a_search(a_model(seed=seed), objective="worst-class", schedule=schedule)

    search, resumed = of(1), of(1)
    for rows in (slice(40), slice(20, 60)):
        search.step(X[rows], Y[rows])
    resumed.load_state_dict(search.state_dict())
    assert_the_loss_is(resumed, search.design())
    for each in (search, resumed):
        each.forget_batches()
        each.step(X[SHOWN], Y[SHOWN])
    assert len(resumed.history) == 3
    for ours, theirs in zip(search.history, resumed.history, strict=True):
        np.testing.assert_array_equal(ours.alpha, theirs.alpha)
        np.testing.assert_array_equal(ours.risks, theirs.risks)
        assert (ours.iteration, ours.learning_rate) == (theirs.iteration, theirs.learning_rate)
        assert ours.record.value == theirs.record.value


# What is refused


def spoilt(rows=slice(None)):
    bad = X[rows].clone()
    bad[3, 1] = torch.nan
    return bad


def explode(model):
    with torch.no_grad():
        model[2].weight.mul_(1e200)
        model[2].bias.mul_(1e200)


def test_one_bad_batch_costs_one_move_and_half_the_rate_for_a_while():
    held_out = [(X, Y), (spoilt(), Y), (X, Y), (X, Y), (X, Y)]
    search = a_search(held_out=held_out, settings=replace(EVERY_STEP, recent_batches=1))
    halvings = [0, 1, 7 / 8, 15 / 8, 14 / 8]
    for place in range(5):  # the second held-out batch is spoilt, and the fourth training batch
        before = search.alpha.vector
        move = search.step(spoilt(SHOWN) if place == 3 else X[SHOWN], Y[SHOWN])
        refused = place in (1, 3)
        assert bool(move.refused) == refused
        assert move.learning_rate == pytest.approx(0.05 / 2 ** halvings[place])
        assert np.array_equal(move.alpha, before) == refused
        assert search.failures == refused
        assert np.isfinite(move.risks).all()


TROUBLE = {
    "a NaN in the held-out batch": (
        {"held_out": [(spoilt(slice(60, 120)), Y[60:])]},
        "held-out logits are not finite",
    ),
    "a NaN in the training batch": (
        {"settings": replace(EVERY_STEP, patience=3, solver=OneStep())},
        "training loss, or its hypergradient, is not finite",
    ),
    "exploding weights": ({}, "not finite"),
    "a solver that grows": (
        {"settings": replace(EVERY_STEP, patience=3, solver=Neumann(step=1e9))},
        "series grows",
    ),
    "beyond the bounds": (
        {"optimizer": lambda tensors: torch.optim.SGD(tensors, 1e9)},
        "reached its bounds",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_it_gives_up_with_advice_and_with_the_last_sound_loss(trouble):
    options, said = TROUBLE[trouble]
    model = a_model()
    settings = {"settings": replace(EVERY_STEP, patience=3)}
    search = a_search(model, **{**settings, **options})
    if trouble == "exploding weights":
        assert not search.step(X[SHOWN], Y[SHOWN]).refused
        explode(model)
    x = spoilt(SHOWN) if "training" in trouble else X[SHOWN]
    design, rate = search.design(), search.alpha.rate
    for failures in (1, 2):
        move = search.step(x, Y[SHOWN])
        assert said in move.refused
        assert search.alpha.rate == pytest.approx(rate / 2**failures)
    with pytest.raises(SearchError, match=r"3 times in a row.*lower the .* learning rate"):
        search.step(x, Y[SHOWN])
    assert search.design() == design
    assert_the_loss_is(search, design)
    assert said in search.history[-1].refused


class Unreached(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, K).double()

    def forward(self, x):
        return self.layer(x).detach()


def test_a_model_that_cannot_be_searched_on_is_refused_at_once():
    search = a_search(Unreached())
    with pytest.raises(SearchError, match="detach"):
        search.step(X[SHOWN], Y[SHOWN])
    assert not search.history


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        ([], "yields no batch"),
        ([X], "must yield"),
        ([(X, one_hot(Y).double())], "one class code for each example"),
    ],
)
def test_held_out_batches_that_are_none(held_out, said):
    with pytest.raises(DataError, match=said):
        a_search(held_out=held_out).step(X[SHOWN], Y[SHOWN])


@pytest.mark.parametrize(
    "wrong",
    [{"every": 0}, {"recent_batches": 0}, {"patience": 0}, {"mode": "test"}, {"held_out_loss": ""}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        OnlineSettings(**wrong)


def test_what_does_not_go_together():
    with pytest.raises(DesignError, match="no design to start from"):
        a_search(loss=ParametricCrossEntropy(n_classes=K))
    with pytest.raises(DesignError, match="trained_by"):
        a_search(parameters=("ridge",))
    with pytest.raises(DesignError, match="'sum'"):
        a_search(loss=a_loss(reduction="sum"))


def test_an_empty_batch_is_no_batch():
    search, again = a_search(), a_search()
    for each in (search, again):
        each.step(X[SHOWN], Y[SHOWN])
    search.step(X[:0], Y[:0])
    again.step(X[SHOWN], Y[SHOWN])
    np.testing.assert_allclose(search.alpha.vector, again.alpha.vector)


# Weight decay


def decayed(model, bias=0.02, weight=0.02):
    weights = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    return torch.optim.SGD(
        [
            {"params": biases, "weight_decay": bias},
            {"params": weights, "weight_decay": weight},
        ],
        0.1,
    )


@pytest.mark.parametrize(("bias", "weight"), [(0.02, 0.02), (0.0, 0.02), (0.0, 0.0)])
def test_a_searched_weight_decay_reaches_what_is_decayed(bias, weight):
    model = a_model()
    optimizer = decayed(model, bias, weight)
    search = a_search(model, parameters=("additive", "ridge"), trained_by=optimizer)
    assert not search.step(X[SHOWN], Y[SHOWN]).refused
    found = [group["weight_decay"] for group in optimizer.param_groups]
    ridge = search.design().ridge
    assert ridge != max(weight, 1e-6)
    assert found == [ridge if bias or not weight else 0.0, ridge]


def test_unequal_weight_decays_keep_their_ratio():
    model = a_model()
    optimizer = decayed(model, 0.01, 0.04)
    search = a_search(model, parameters=("additive", "ridge"), trained_by=optimizer)
    for _ in range(2):
        assert not search.step(X[SHOWN], Y[SHOWN]).refused
        bias, weight = (group["weight_decay"] for group in optimizer.param_groups)
        assert weight == search.design().ridge != 0.04
        assert weight == pytest.approx(4 * bias)


def test_a_ridge_that_is_not_searched_stays_in_the_design():
    assert a_search().design().ridge == 0.01


def test_the_curvature_has_the_decay_of_each_parameter():
    """With no curvature but the decay, p = v / μ: by hand for a bias without and a weight with."""
    model = nn.Sequential(nn.Linear(WIDTH, K).double())
    optimizer = decayed(model, 0.5, 2.0)
    settings = replace(EVERY_STEP, solver=CG(50, damping=0.0, tolerance=1e-12), curvature=Flat())
    sgd = lambda tensors: torch.optim.SGD(tensors, 1e-3)  # noqa: E731
    search = a_search(model, settings=settings, optimizer=sgd, trained_by=optimizer)
    search.step(X[SHOWN], Y[SHOWN])
    both = search.alpha.vector
    parts = []
    for own in (0.5, 2.0):
        head = nn.Sequential(nn.Linear(WIDTH, K).double())
        head.load_state_dict(model.state_dict())
        head[0].weight.requires_grad_(own == 2.0)
        head[0].bias.requires_grad_(own == 0.5)
        each = a_search(head, settings=settings, optimizer=sgd, trained_by=decayed(head, own, own))
        each.step(X[SHOWN], Y[SHOWN])
        parts.append(each.alpha.vector)
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-8, atol=1e-14)


class Flat(GaussNewton):
    """No curvature at all."""

    def at(self, network, loss, batch, draw=0):
        return torch.zeros_like


# Losses


def alpha_after(loss, targets, model=None, rows=SHOWN):
    sgd = lambda tensors: torch.optim.SGD(tensors, 0.1)  # noqa: E731
    parameters = ("weight", "additive", "multiplicative")
    search = a_search(model, loss, parameters=parameters, optimizer=sgd)
    assert not search.step(X[rows], targets).refused
    return search.alpha.vector, search


def smoothed(share):
    return (1 - share) * one_hot(Y[SHOWN], K).double() + share / K


def test_other_targets_agree_with_the_closed_form():
    expected, search = alpha_after(a_loss(), Y[SHOWN])
    assert np.abs(expected).min() > 1e-6
    soft, autograd = alpha_after(a_loss(), smoothed(0))
    assert isinstance(autograd._logit_loss(), AutogradLoss)
    assert not isinstance(search._logit_loss(), AutogradLoss)
    np.testing.assert_allclose(soft, expected, rtol=1e-8)


def test_ignored_examples_are_as_if_they_were_not_there():
    expected, _ = alpha_after(a_loss(), Y[:40], rows=slice(40))
    targets = Y[SHOWN].clone()
    targets[40:] = -1
    ignored, _ = alpha_after(a_loss(ignore_index=-1), targets)
    np.testing.assert_allclose(ignored, expected, rtol=1e-8)


def test_label_smoothing_is_a_soft_target():
    smooth, _ = alpha_after(a_loss(label_smoothing=0.2), Y[SHOWN])
    soft, _ = alpha_after(a_loss(), smoothed(0.2))
    plain, _ = alpha_after(a_loss(), Y[SHOWN])
    np.testing.assert_allclose(smooth, soft, rtol=1e-8)
    assert not np.allclose(smooth, plain, rtol=0.05)


def test_dense_outputs_need_dense_targets():
    model = nn.Sequential(nn.Unflatten(1, (1, WIDTH)), nn.Conv1d(1, K, 1).double())
    with pytest.raises(DataError, match=r"give class indices of shape \(60, 4\)"):
        a_search(model).step(X[SHOWN], Y[SHOWN])


# Models and groups


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, K)

    def forward(self, x):
        return self.head(self.lstm(x.reshape(len(x), -1, 2))[0][:, -1])


def test_without_forward_mode_it_takes_finite_differences_and_says_so_once():
    torch.manual_seed(0)
    model, x = Recurrent(), X.float()
    search = a_search(model, held_out=[(x, Y)])
    with pytest.warns(UserWarning, match=r"lstm.* finite differences") as caught:
        search.step(x[SHOWN], Y[SHOWN])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not search.step(x[SHOWN], Y[SHOWN]).refused
    given = a_search(
        model, held_out=[(x, Y)], settings=replace(EVERY_STEP, tangent=FiniteDifference())
    )
    given.step(x[SHOWN], Y[SHOWN])
    np.testing.assert_allclose(given.alpha.vector, search.history[0].alpha)
    named = a_search(
        model, held_out=[(x, Y)], settings=replace(EVERY_STEP, curvature=GaussNewton())
    )
    with pytest.warns(UserWarning, match="finite differences"):
        named.step(x[SHOWN], Y[SHOWN])
    np.testing.assert_allclose(named.alpha.vector, search.history[0].alpha)


def test_groups_reach_loss_and_objective():
    design = a_design(groups=("a", "b"))
    loss = ParametricCrossEntropy.from_design(design, dtype=torch.float64)
    search = OnlineSearch(
        a_model(), loss, "worst-group", [(X, Y, G)], dictionary="cell", settings=EVERY_STEP
    )
    assert not search.step(X[SHOWN], Y[SHOWN], G[SHOWN]).refused
    moved = search.design().additive - design.additive
    assert np.abs(moved[:, 0] - moved[:, 1]).min() > 1e-3
    without = OnlineSearch(a_model(), loss, "worst-group", [(X, Y)], settings=EVERY_STEP)
    with pytest.raises(DataError, match="no groups"):
        without.step(X[SHOWN], Y[SHOWN], G[SHOWN])
