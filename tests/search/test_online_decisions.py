"""Searches beside networks of several decisions per example, against the same as single ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.losses import ParametricBinaryCrossEntropy, ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.multilabel import label_counts
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings

WIDTH, L, N = 5, 3, 120
EVERY_STEP = OnlineSettings(every=1)
RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(N, WIDTH)))
LATENT = X[:, :L] + torch.from_numpy(0.6 * RNG.normal(size=(N, L)))
T = (torch.tensor([0.0, 0.8, 1.3]) < LATENT).long()
G = torch.arange(N) % 2
LABELS = torch.arange(L).expand(N, L)
SHOWN, HELD = slice(70), slice(70, N)


class Pairs(nn.Module):
    """The logits (0, z) of the two outcomes for each z of a network, in the second dimension."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        z = self.model(x)
        return torch.stack([torch.zeros_like(z), z], 1)


def a_network(*last, width=L):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, width), *last).double()


def a_design(groups=None):
    g = None if groups is None else G[SHOWN].numpy()
    return preset("group-la", label_counts(T[SHOWN].numpy(), ("a", "b", "c"), g, groups))


def as_plain_cells(design):
    """The same design for two classes in groups, which are labels to nobody."""
    return replace(design, counts=replace(design.counts, multilabel=False))


def a_search(model, loss, held_out, objective="group-balanced", **options):
    return OnlineSearch(
        model,
        loss,
        objective,
        held_out,
        **{"settings": EVERY_STEP, "parameters": ("weight", "additive"), **options},
    )


def assert_they_move_alike(search, steps, other, other_steps):
    for ours, theirs in zip(steps, other_steps, strict=True):
        assert not search.step(*ours).refused
        assert not other.step(*theirs).refused
    assert np.abs(search.alpha.vector).min() > 1e-3
    np.testing.assert_allclose(search.alpha.vector, other.alpha.vector, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(search.history[-1].errors, other.history[-1].errors)


ROWS = (slice(40), slice(30, 70))


@pytest.mark.parametrize("objective", ["group-balanced", "worst-group", "error"])
@pytest.mark.parametrize("kind", ["codes", "floats"])
def test_labels_move_the_loss_as_two_classes_with_the_label_as_group_do(objective, kind):
    design = a_design()
    t = T.double() if kind == "floats" else T
    sigmoid = a_search(
        a_network(),
        ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64),
        [(X[HELD], t[HELD])],
        objective,
    )
    softmax = a_search(
        Pairs(a_network()),
        ParametricCrossEntropy.from_design(as_plain_cells(design), dtype=torch.float64),
        [(X[HELD], T[HELD], LABELS[HELD])],
        objective,
    )
    assert_they_move_alike(
        sigmoid,
        [(X[rows], t[rows]) for rows in ROWS],
        softmax,
        [(X[rows], T[rows], LABELS[rows]) for rows in ROWS],
    )


def test_labels_in_groups_move_the_loss_as_cells_of_both_do():
    design = a_design(("f", "m"))
    columns = 2 * LABELS + G[:, None]
    sigmoid = a_search(
        a_network(),
        ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64),
        [(X[HELD], T[HELD], G[HELD])],
    )
    softmax = a_search(
        Pairs(a_network()),
        ParametricCrossEntropy.from_design(as_plain_cells(design), dtype=torch.float64),
        [(X[HELD], T[HELD], columns[HELD])],
    )
    assert_they_move_alike(
        sigmoid,
        [(X[rows], T[rows], G[rows]) for rows in ROWS],
        softmax,
        [(X[rows], T[rows], columns[rows]) for rows in ROWS],
    )


@pytest.mark.parametrize("last", [(), (nn.Flatten(0),)], ids=["(N, 1)", "(N,)"])
def test_one_logit_moves_the_loss_as_two_do(last):
    y = T[:, 1]
    counts = Counts.from_codes(y[SHOWN].numpy(), None, ("no", "yes"))
    design = preset("logit-adjustment", counts)
    network = a_network(*last, width=1)
    one = a_search(
        network,
        ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64),
        [(X[HELD], y[HELD])],
        "balanced",
    )
    two = a_search(
        nn.Sequential(Pairs(network), nn.Flatten(1)),
        ParametricCrossEntropy.from_design(design, dtype=torch.float64),
        [(X[HELD], y[HELD])],
        "balanced",
    )
    steps = [(X[rows], y[rows]) for rows in ROWS]
    assert_they_move_alike(one, steps, two, steps)


@pytest.mark.parametrize("grouped", [False, True])
def test_dense_outputs_move_the_loss_as_their_pixels_do(grouped):
    """A pixel is classified by its own channels, so each is an example of its own."""
    pixels = 4
    image = X.reshape(N // pixels, pixels, WIDTH).movedim(1, 2)
    y = (T.sum(1)).clamp(max=2).reshape(-1, pixels)
    g = G.reshape(-1, pixels) if grouped else None
    counts = Counts.from_codes(
        y.flatten().numpy(),
        None if g is None else g.flatten().numpy(),
        range(3),
        None if g is None else range(2),
    )
    loss = lambda: ParametricCrossEntropy.from_design(  # noqa: E731
        preset("group-balanced", counts), dtype=torch.float64, ignore_index=255
    )
    y = y.clone()
    y[::3, 1] = 255  # in what trains and in what is held out
    head = nn.Linear(WIDTH, 3).double()
    dense = nn.Conv1d(WIDTH, 3, 1).double()
    with torch.no_grad():
        dense.weight.copy_(head.weight[:, :, None])
        dense.bias.copy_(head.bias)
    shown, held = slice(18), slice(18, None)

    def flat(rows):
        known = y[rows].flatten() != 255
        inputs = image[rows].movedim(1, 2).flatten(0, 1)[known]
        groups = () if g is None else (g[rows].flatten()[known],)
        return inputs, y[rows].flatten()[known], *groups

    def whole(rows):
        return image[rows], y[rows], *(() if g is None else (g[rows],))

    one = a_search(dense, loss(), [whole(held)])
    other = a_search(head, loss(), [flat(held)])
    steps = slice(10), slice(8, 18)
    assert shown.stop == 18
    assert_they_move_alike(
        one, [whole(rows) for rows in steps], other, [flat(rows) for rows in steps]
    )


def test_missing_labels_are_left_out_in_training_and_held_out():
    known = torch.from_numpy(RNG.random(T.shape) > 0.2)
    coded, shared = T.where(known, -100), T.double().where(known, torch.nan)
    searches = [
        a_search(
            a_network(),
            ParametricBinaryCrossEntropy.from_design(a_design(), dtype=torch.float64),
            [(X[HELD], t[HELD])],
        )
        for t in (coded, shared)
    ]
    assert_they_move_alike(
        searches[0],
        [(X[rows], coded[rows]) for rows in ROWS],
        searches[1],
        [(X[rows], shared[rows]) for rows in ROWS],
    )
    searches[0].forget_batches()
    assert not searches[0].step(X[SHOWN], torch.full_like(T[SHOWN], -100)).refused


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_labels_train_but_are_not_held_out(smoothing):
    soft = T.double() * 0.8 + 0.1
    loss = ParametricBinaryCrossEntropy.from_design(
        a_design(), dtype=torch.float64, label_smoothing=smoothing
    )
    search = a_search(a_network(), loss, [(X[HELD], T[HELD])])
    assert not search.step(X[SHOWN], soft[SHOWN]).refused
    with pytest.raises(DataError, match="one class code for each"):
        a_search(a_network(), loss, [(X[HELD], soft[HELD])]).step(X[SHOWN], T[SHOWN])


def test_by_default_one_delta_for_both_outcomes_of_a_label():
    design = a_design()
    loss = ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64)
    search = a_search(
        a_network(), loss, [(X[HELD], T[HELD])], parameters=("additive", "multiplicative")
    )
    assert search.space.dictionaries["multiplicative"].name == "group"
    assert "one δ for both classes" in search.space.describe()["reason"]
    for _ in range(3):
        assert not search.step(X[SHOWN], T[SHOWN]).refused
    delta = search.design().multiplicative
    np.testing.assert_array_equal(delta[0], delta[1])
    assert np.log(delta[1]).sum() == pytest.approx(0)
    assert np.abs(delta[1] - 1).min() > 1e-3


def test_groups_must_be_there_and_in_range():
    loss = ParametricBinaryCrossEntropy.from_design(a_design(("f", "m")), dtype=torch.float64)
    search = a_search(a_network(), loss, [(X[HELD], T[HELD])])
    with pytest.raises(DataError, match="pass group"):
        search.step(X[SHOWN], T[SHOWN], G[SHOWN])
    search = a_search(a_network(), loss, [(X[HELD], T[HELD], G[HELD] + 1)])
    with pytest.raises(DataError, match="group code 2 is out of range"):
        search.step(X[SHOWN], T[SHOWN], G[SHOWN])


def test_a_policy_moves_beside_one_logit_as_beside_two():
    y = T[:, 1]
    counts = Counts.from_codes(y[SHOWN].numpy(), None, ("no", "yes"))
    design = replace(preset("cross-entropy", counts), policy=Policy.ball([[0.3], [0.5]]))
    network = a_network(nn.Flatten(0), width=1)
    searches = [
        a_search(
            model,
            kind.from_design(design, dtype=torch.float64),
            [(X[HELD], y[HELD])],
            "balanced",
            parameters="magnitude",
            augmentation=PolicyAugmentation(design.policy).double(),
        )
        for model, kind in (
            (network, ParametricBinaryCrossEntropy),
            (Pairs(network), ParametricCrossEntropy),
        )
    ]
    steps = [(X[rows], y[rows]) for rows in ROWS]
    assert_they_move_alike(searches[0], steps, searches[1], steps)


def test_a_policy_is_for_examples_of_one_class():
    counts = Counts(np.array([[80.0], [40.0]]), ("no", "yes"))
    design = replace(preset("cross-entropy", counts), policy=Policy.ball([[0.1], [0.1]]))
    search = a_search(
        a_network(width=1),
        ParametricBinaryCrossEntropy.from_design(design, dtype=torch.float64),
        [(X[HELD], T[HELD, :1])],
        "balanced",
        augmentation=PolicyAugmentation(design.policy),
    )
    with pytest.raises(DataError, match="search the loss without a policy"):
        search.step(X[SHOWN], T[SHOWN, :1])


def test_a_search_on_a_planted_rare_label_lowers_what_is_held_out():
    """From plain binary cross-entropy, which never gives the label that 4% have."""
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.normal(size=(900, 6))).float()
    latent = x[:, :2] @ torch.tensor([[1.0, 0.5], [-0.5, 1.0]]) + 0.7 * torch.from_numpy(
        rng.normal(size=(900, 2))
    )
    t = (latent > torch.tensor([0.2, 2.4])).float()
    train, held = slice(600), slice(600, None)
    counts = label_counts(t[train].numpy(), ("common", "rare"))
    assert counts.values[1, 1] < 0.05 * 600
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    loss = ParametricBinaryCrossEntropy.from_design(preset("cross-entropy", counts))
    search = OnlineSearch(
        model,
        loss,
        "group-balanced",
        [(x[held], t[held])],
        parameters="additive",
        dictionary="cell",
        trained_by=optimizer,
        settings=OnlineSettings(warm_up=60, every=5, learning_rate=0.1),
    )
    for step in range(180):
        rows = torch.arange(64) + 67 * step
        inputs, targets = x[train][rows % 600], t[train][rows % 600]
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        optimizer.step()
        search.step(inputs, targets)
    first, last = search.history[0], search.history[-1]
    assert not any(move.refused for move in search.history)
    assert last.record.value < 0.8 * first.record.value
    assert first.errors[1, 1] > 0.6  # of the rare label's positives
    assert last.errors.mean() < first.errors.mean() - 0.1
    learned = search.design().additive
    assert learned[1, 1] - learned[0, 1] < -1  # the rare positive is asked for a larger logit
