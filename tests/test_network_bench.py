"""Networks on one split: the same terms for every loss, and the start kept where nothing is won."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.augmentation.policy import Policy
from autobalance.contest.contenders import train_all
from autobalance.counts import Counts
from autobalance.errors import DataError, SearchError
from autobalance.network_bench import NetworkBench
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import Objective
from autobalance.search.folds import make_folds
from autobalance.search.result import START_KEPT
from autobalance.search.settings import SearchSettings
from autobalance.space import RIDGE_FLOOR, SearchSpace
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

PARAMETERS = ("additive", "multiplicative")
QUICK = NetworkSettings(
    "linear",
    TrainingSettings(epochs=3, batch_size=32, learning_rate=0.05),
    SearchPlan(warm_up=0.4, moves=4),
)


def draw(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    return 3.0 + 2.0 * (rng.normal(size=(rows, 5)) + 1.5 * np.eye(3, 5)[y]), y


def a_bench(network=QUICK, **settings):
    x, y = draw()
    counts = Counts.from_codes(y, None, ("a", "b", "c"))
    weight = np.ones(len(y))
    folds = make_folds(0.25, x, y, y, y, counts, weight, 0)
    return x, NetworkBench(
        x,
        y,
        np.zeros_like(y),
        weight,
        counts,
        folds,
        Objective.parse("balanced").bind(counts),
        SearchSettings(**settings),
        network,
    )


def searched(bench, **options):
    space = SearchSpace.build(bench.best_start(1e-4), PARAMETERS, "class")
    return space, bench.train(space, "AutoBalance", **options)


def test_a_designed_head_is_measured_on_the_split_and_trained_on_everything():
    seen = []
    x, bench = a_bench(required_gain=None)
    space, head = searched(bench, progress=seen.append)
    assert head.held_out_logits.shape == (len(bench.folds.row), 3)
    np.testing.assert_array_equal(head.result.held_out_rows, bench.folds.row)
    assert len(seen) == 2  # epochs with a move behind them
    assert not np.array_equal(head.design.additive, space.start.additive)
    assert np.isfinite(head.model.logits(x)).all()
    assert head.result.best.objective == pytest.approx(
        float(bench.held_out_risk()(torch.from_numpy(head.held_out_logits)).objective)
    )


def test_the_start_is_kept_where_the_gain_does_not_stand_out():
    _, bench = a_bench(required_gain=50.0)
    space, head = searched(bench)
    assert head.result.status == START_KEPT
    np.testing.assert_array_equal(head.design.additive, space.start.additive)
    closed = bench.train_preset("logit-adjustment", "LA", ridge=1e-4)
    np.testing.assert_array_equal(head.held_out_logits, closed.held_out_logits)
    np.testing.assert_array_equal(head.model.logits(draw()[0]), closed.model.logits(draw()[0]))


def test_a_tuned_closed_form_is_the_best_of_those_tried():
    _, bench = a_bench()
    plain = bench.train_preset("logit-adjustment", "LA", ridge=1e-4)
    tuned = bench.train_preset("logit-adjustment", "LA", ("additive",), ridge=1e-4)
    assert tuned.result.value <= plain.result.value
    tau = tuned.design.metadata["arguments"]["tau"]
    values = {
        tried: bench._tried("logit-adjustment", {"tau": tried}, 1e-4).value
        for tried in (0.5, 1.0, 2.0)
    }
    assert tau == min(values, key=values.get)


def test_the_same_seed_gives_the_same_network_and_leaves_the_callers_draws_alone():
    x, bench = a_bench()
    before = torch.random.get_rng_state()
    first = bench.train_preset("weighted", "w").model.logits(x)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(a_bench()[1].train_preset("weighted", "w").model.logits(x), first)


def test_a_tuned_bias_moves_the_network_and_its_design():
    x, bench = a_bench()
    head = bench.train_preset("cross-entropy", "CE")
    biased = bench.add_tuned_bias(head, "bias")
    np.testing.assert_allclose(
        biased.model.logits(x) - head.model.logits(x),
        np.broadcast_to(biased.model.bias, (len(x), 3)),
        atol=1e-12,
    )
    np.testing.assert_allclose(biased.design.additive[:, 0], -biased.model.bias)


def test_images_are_standardised_and_augmented_on_the_way():
    """Held-out ones, and those that are predicted, are as they are."""
    seen = []

    def augment(images, generator):
        seen.append(len(images))
        return images.flip(3)

    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 20])
    x = np.clip(rng.normal(90, 40, (60, 3, 4, 4)) + 60 * y[:, None, None, None], 0, 255)
    x = x.astype(np.uint8)
    counts = Counts.from_codes(y, None, ("a", "b"))
    weight = np.ones(len(y))
    bench = NetworkBench(
        x,
        y,
        np.zeros_like(y),
        weight,
        counts,
        make_folds(0.25, x, y, y, y, counts, weight, 0),
        Objective.parse("balanced").bind(counts),
        SearchSettings(),
        replace(QUICK, model="small-cnn", training=replace(QUICK.training, augment=augment)),
    )
    head = bench.train_preset("cross-entropy", "CE")
    assert sum(seen) == 3 * (45 + 60)  # three epochs, of the split's part and of everything
    assert head.model.shape == (3, 4, 4)
    pixels = head.model.module[0]
    np.testing.assert_allclose(pixels.mean.numpy(), x.mean((0, 2, 3)) / 255, rtol=1e-5)
    np.testing.assert_allclose(pixels.std.numpy(), x.std((0, 2, 3)) / 255, rtol=1e-5)
    assert (head.model.predict(x) == y).mean() > 0.8


def test_checkpoints_are_gone_on_with(tmp_path, monkeypatch):
    network = replace(QUICK, checkpoints=tmp_path)
    x, bench = a_bench(network, required_gain=None)
    _, first = searched(bench)

    def no_epoch(*_):
        raise AssertionError("a finished training is trained again")

    monkeypatch.setattr("autobalance.training.loop.Training._epoch", no_epoch)
    _, again = searched(a_bench(network, required_gain=None)[1])
    np.testing.assert_array_equal(again.model.logits(x), first.model.logits(x))
    assert again.design == first.design


def test_a_model_that_there_is_not_is_refused_by_name():
    with pytest.raises(DataError, match="no model 'forest'"):
        a_bench(replace(QUICK, model="forest"))


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("model", [nn.Linear(5, 3), 7], ids=["module", "number"])
def test_a_model_is_made_anew_for_every_loss(model):
    with pytest.raises(DataError, match="a function of the shape of one example"):
        NetworkSettings(model)


class Maker:
    """A factory that is no function."""

    def __call__(self, shape, n_classes):
        return nn.Linear(shape[0], n_classes)


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (Maker(), "Maker"),
        (partial(Maker(), n_classes=3), "Maker"),
        (partial(nn.Linear), "Linear"),
    ],
    ids=["object", "partial object", "partial"],
)
def test_any_factory_has_a_name(factory, name):
    assert NetworkSettings(factory).name.endswith(f":{name}")


@pytest.mark.parametrize(("decay", "used"), [(0.003, 0.003), (0.0, RIDGE_FLOOR)])
def test_every_loss_is_trained_with_the_weight_decay_of_the_training(decay, used):
    network = replace(QUICK, training=replace(QUICK.training, weight_decay=decay))
    _, bench = a_bench(network)
    heads = list(
        train_all(
            bench,
            lambda bench: SearchSpace.build(bench.best_start(), PARAMETERS, "class"),
            lambda _: None,
            lambda _: None,
        )
    )
    assert len(heads) == 8  # ours, six closed forms, and one of them with a bias
    assert {head.design.ridge for head in heads} == {used}


def test_logits_that_are_not_finite_are_refused():
    network = replace(QUICK, model=lambda shape, n_classes: Overflowing(shape[0], n_classes))
    _, bench = a_bench(network)
    with pytest.raises(SearchError, match="logits that are not finite"):
        bench.train_preset("cross-entropy", "CE")


class Overflowing(nn.Linear):
    """In evaluation mode only."""

    def forward(self, x):
        return super().forward(x) if self.training else super().forward(x) / 0


def test_the_value_of_the_start_is_that_of_a_network_trained_with_it():
    _, bench = a_bench(required_gain=None)
    _, head = searched(bench)
    closed = bench.train_preset("logit-adjustment", "LA", ridge=1e-4)
    assert head.result.start_value == pytest.approx(closed.result.value)
    assert head.result.start_value != pytest.approx(head.result.history[0].objective)


def test_a_start_with_a_policy_is_another_start_than_the_same_without():
    _, bench = a_bench()
    plain = bench.best_start(1e-4)
    start = replace(plain, policy=Policy.ball(np.full((3, 1), 2.0)))
    without, augmented = bench._split_logits(plain), bench._split_logits(start)
    assert not np.array_equal(without, augmented)
    np.testing.assert_array_equal(bench._split_logits(start), augmented)


def test_the_values_of_a_policy_are_searched_and_count_as_fitted():
    _, bench = a_bench()
    start = replace(bench.best_start(1e-4), policy=Policy.ball(np.full((3, 1), 0.5)))
    parameters = ("additive", "magnitude")
    space = SearchSpace.build(start, parameters, {"additive": "class", "magnitude": "line"})
    head = bench.train(space, "AutoBalance", kind="searched")  # kept without standing out
    assert head.design.policy is not None
    assert not np.array_equal(head.design.policy.magnitude, start.policy.magnitude)
    assert head.fitted == 2 + 2
