"""From data to a retrained network."""

import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn
from torch.utils.data import TensorDataset

from autobalance.augmentation.policy import Policy, policy_for_images
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError, DataError, DesignError, ObjectiveError
from autobalance.losses.ldam import LDAMLoss
from autobalance.losses.presets import preset
from autobalance.models.pixels import Pixels
from autobalance.objectives import Objective
from autobalance.search import online
from autobalance.training.checkpoint import rng_state
from autobalance.training.examples import Examples
from autobalance.training.loop import predict_logits
from autobalance.training.pipeline import (
    add_search,
    evaluate,
    new_training,
    search_and_retrain,
    split,
    starting_design,
)
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings

CPU = torch.device("cpu")
BALANCED = Objective.parse("balanced")
SETTINGS = TrainingSettings(5, batch_size=8, learning_rate=0.05)
PLAN = SearchPlan(warm_up=0.4, moves=5, batch_size=24)
NAMES = np.array(["ant", "bee", "cat"])


def points(seed=0, sizes=(70, 35, 15)):
    generator = torch.Generator().manual_seed(seed)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    return torch.randn(len(y), 4, generator=generator) + y[:, None], NAMES[y]


def network(n_classes=3):
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_classes))


def run(factory=network, data=None, objective="balanced", **options):
    options = {"training": SETTINGS, "plan": PLAN, "device": "cpu"} | options
    return search_and_retrain(factory, points() if data is None else data, objective, **options)


@pytest.fixture(scope="module")
def result():
    return run(test_data=points(seed=1))


def weights_of(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def test_the_split_is_stratified_by_cell():
    y = np.repeat([0, 1], [60, 40])
    g = np.tile([0, 0, 0, 1], 25)
    examples = Examples.of((torch.zeros(100, 1), y, g))
    train, held_out = split(examples, 0.2, seed=3)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(100))
    assert np.bincount(examples.cells[held_out]).tolist() == [9, 3, 6, 2]
    assert torch.equal(split(examples, 0.2, seed=3)[1], held_out)
    assert not torch.equal(split(examples, 0.2, seed=4)[1], held_out)


def test_the_start_is_consistent_with_the_objective_or_given():
    examples = Examples.of(points())
    adjusted = starting_design("auto", BALANCED, examples)
    assert adjusted.additive[:, 0] == pytest.approx(np.log(np.array([70, 35, 15]) / 120))
    assert starting_design("weighted", BALANCED, examples).metadata["preset"] == "weighted"
    other = preset("cdt", Counts(np.array([[9.0], [5.0], [2.0]]), ("ant", "bee", "cat")))
    given = starting_design(other, BALANCED, examples)
    assert given.multiplicative.tolist() == other.multiplicative.tolist()
    assert given.counts == examples.counts
    foreign = preset("cdt", Counts(np.array([[9.0], [5.0], [2.0]]), ("ant", "bee", "dog")))
    with pytest.raises(DataError, match="made for other classes or groups than those of the data"):
        starting_design(foreign, BALANCED, examples)


def training_of(examples, index, design, seed=0, settings=SETTINGS):
    return new_training(network, examples, index, design, settings, CPU, seed)


def test_retraining_is_ordinary_training_on_everything_with_the_design(result):
    examples = Examples.of(points())
    plain = training_of(examples, torch.arange(120), result.design)
    plain.run()
    assert torch.equal(weights_of(plain.model), weights_of(result.model))
    assert tuple(plain.history) == result.epochs["retraining"]
    assert not result.model.training


def test_the_search_is_training_on_a_part_beside_moves_of_the_loss(result):
    examples = Examples.of(points())
    train, held_out = split(examples, 0.2, 0)
    searching = training_of(examples, train, starting_design("auto", BALANCED, examples))
    search = add_search(searching, examples, held_out, BALANCED, PLAN, 0)
    searching.run()
    assert result.held_out_rows.tolist() == held_out.tolist()
    logits = predict_logits(searching.model, examples, held_out)
    assert np.array_equal(result.held_out_logits, logits.double().numpy())
    assert result.design.additive.tolist() == search.design().additive.tolist()
    wrong = logits.argmax(1) != examples.targets[held_out]
    of_cells = [wrong[examples.targets[held_out] == k].double().mean() for k in range(3)]
    assert np.ravel(result.epochs["search"][-1].cell_errors) == pytest.approx(np.array(of_cells))


def test_a_search_that_makes_no_move_leaves_training_as_it_is():
    examples = Examples.of(points())
    train, held_out = split(examples, 0.2, 0)
    start = starting_design("auto", BALANCED, examples)
    runs = {}
    for warm_up in (None, 1.0, 0.4):
        runs[warm_up] = training_of(examples, train, start)
        if warm_up is not None:
            plan = SearchPlan(moves=5, warm_up=warm_up)
            add_search(runs[warm_up], examples, held_out, BALANCED, plan, 0)
        runs[warm_up].run()
    weights = {warm_up: weights_of(each.model) for warm_up, each in runs.items()}
    assert torch.equal(weights[1.0], weights[None])
    assert not torch.equal(weights[0.4], weights[None])


def test_a_training_too_short_for_a_move_is_warned_of():
    with pytest.warns(UserWarning, match=r"takes 6 steps, too few .* after a warm-up of 5: train"):
        result = run(training=TrainingSettings(1, batch_size=16), plan=SearchPlan())
    assert result.moves == ()


def test_the_rate_of_the_loss_falls_to_nearly_nothing(result):
    rates = [move.learning_rate for move in result.moves]
    assert len(rates) == 5
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] < 0.1 * rates[0]
    assert {move.refused for move in result.moves} == {""}


def test_alpha_may_have_another_schedule_and_other_held_out_batches():
    examples = Examples.of(points())
    train, held_out = split(examples, 0.2, 0)
    start = starting_design("auto", BALANCED, examples)
    asked, given = [], ShuffledBatches(examples, held_out, 7, 0)

    def halved(optimizer, moves):
        asked.append(moves)
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    ends = {}
    for batches in (None, given):
        searching = training_of(examples, train, start)
        options = {"optimizer": partial(torch.optim.SGD, lr=0.1), "schedule": halved}
        search = add_search(
            searching, examples, held_out, BALANCED, PLAN, 0, batches=batches, **options
        )
        searching.run()
        assert (search.held_out is given) == (batches is given)
        rates = [move.learning_rate for move in search.history]
        assert rates == pytest.approx([0.1 * 0.5**move for move in range(1, 6)])
        ends[batches] = search.alpha.vector
    assert asked == [5, 5]
    assert not np.array_equal(ends[None], ends[given])


def test_the_weight_decay_is_in_the_curvature(monkeypatch):
    decays = []

    def spy(*arguments, weight_decay, **options):
        decays.append(weight_decay)
        return hypergradient(*arguments, weight_decay=weight_decay, **options)

    hypergradient = online.hypergradient
    monkeypatch.setattr(online, "hypergradient", spy)
    run(training=TrainingSettings(2, batch_size=16, weight_decay=0.03))
    assert decays
    assert set(decays) == {0.03}


def test_a_searched_weight_decay_serves_the_retraining():
    optimizers = []

    def sgd(parameters):
        optimizers.append(torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.01))
        return optimizers[-1]

    settings = TrainingSettings(2, batch_size=16, optimizer=sgd)
    found = run(parameters=("additive", "ridge"), training=settings).design.ridge
    assert found != pytest.approx(0.01, rel=0.01)
    assert [each.param_groups[0]["weight_decay"] for each in optimizers] == [found, found]


def test_a_searched_weight_decay_leaves_alone_what_is_not_decayed():
    optimizers = []

    def sgd(parameters):
        weights, biases = ([p for p in parameters if (p.ndim > 1) == big] for big in (True, False))
        groups = [{"params": biases, "weight_decay": 0.0}, {"params": weights}]
        optimizers.append(torch.optim.SGD(groups, lr=0.05, weight_decay=0.01))
        return optimizers[-1]

    settings = TrainingSettings(2, batch_size=16, optimizer=sgd)
    found = run(parameters=("additive", "ridge"), training=settings).design.ridge
    for each in optimizers:
        assert [group["weight_decay"] for group in each.param_groups] == [0.0, found]


def test_the_same_seed_gives_the_same_bit_for_bit(result):
    random.seed(5)  # nothing of the caller's streams matters
    torch.rand(3)
    again, other = run(), run(seed=1)
    assert torch.equal(weights_of(again.model), weights_of(result.model))
    assert again.design.to_json() == result.design.to_json()
    assert again.epochs == result.epochs
    assert not torch.equal(weights_of(other.model), weights_of(result.model))
    assert other.held_out_rows.tolist() != result.held_out_rows.tolist()


class Draws(TensorDataset):
    """A data set that draws from every global stream."""

    def __getitem__(self, position):
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        return super().__getitem__(position)


@pytest.mark.usefixtures("plain_calls")  # the check of a sequence draws from Python's stream
def test_the_callers_random_streams_are_not_touched():
    x, names = points()
    data = Draws(x, torch.from_numpy(np.unique(names, return_inverse=True)[1]))

    def state():
        streams = rng_state()
        return streams["torch"].tolist(), streams["numpy"][1].tolist(), streams["python"]

    before = state()
    run(data=data, test_data=data, training=TrainingSettings(2, batch_size=16))
    assert state() == before


def test_the_model_is_evaluated_on_the_test_data(result):
    x, names = points(seed=1)
    with torch.no_grad():
        predicted = NAMES[result.model(x).argmax(1)]
    error = 1 - balanced_accuracy_score(names, predicted)
    assert result.evaluation.objective.value == pytest.approx(error)
    assert result.evaluation.summary["error"].value == pytest.approx(np.mean(names != predicted))
    assert run().evaluation is None


def test_a_test_part_may_lack_classes_and_is_coded_as_in_training(result):
    x, names = points(seed=1)
    some = names != "ant"
    examples = Examples.of(points())
    evaluation = evaluate(result.model, (x[some], names[some]), examples, BALANCED, CPU)
    expected = result.evaluation.class_errors
    assert np.isnan(evaluation.class_errors[0])
    assert evaluation.class_errors[1:] == pytest.approx(expected[1:])


# Augmentation policies


def images(seed=0, sizes=(40, 20, 10)):
    """Random bytes, darker where a class has its stripe."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    x = torch.randint(100, 256, (len(y), 3, 6, 6), dtype=torch.uint8, generator=generator)
    for k in range(3):
        x[y == k, :, 2 * k : 2 * k + 2] //= 2
    return x, NAMES[y]


def network_on_images():
    front = Pixels(3).fit(images()[0])
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)]
    return nn.Sequential(front, *layers)


def augmenting(policy=None):
    policy = policy_for_images(3, 1, 3) if policy is None else policy
    return replace(preset("logit-adjustment", Examples.of(images()).counts), policy=policy)


SEARCHED = ("emphasis", "probability", "magnitude")


def run_on_images(**options):
    options = {"start": augmenting(), "parameters": SEARCHED} | options
    training = TrainingSettings(3, batch_size=8, learning_rate=0.05)
    return run(network_on_images, images(), training=training, **options)


@pytest.fixture(scope="module")
def augmented():
    return run_on_images(test_data=images(1))


def test_a_policy_is_searched_and_retrained_with(augmented):
    start = augmenting().policy
    policy = augmented.design.policy
    assert policy.sub_policies == start.sub_policies
    assert {move.refused for move in augmented.moves} == {""}
    assert (policy.probability != start.probability).mean() > 0.9
    assert ((policy.magnitude != start.magnitude) == start.has_magnitude).mean() > 0.9
    assert LossDesign.from_json(augmented.design.to_json()) == augmented.design
    assert augmented.evaluation is not None
    examples = Examples.of(images())
    settings = TrainingSettings(3, batch_size=8, learning_rate=0.05)
    plain = new_training(
        network_on_images, examples, torch.arange(70), augmented.design, settings, CPU, 0
    )
    plain.run()
    assert torch.equal(weights_of(plain.model), weights_of(augmented.model))


def test_a_policy_that_is_not_searched_is_trained_with_and_kept():
    found = run_on_images(parameters=("emphasis",))
    assert found.design.policy == augmenting().policy
    without = run_on_images(start="logit-adjustment", parameters=("emphasis",))
    assert without.design.policy is None
    assert not torch.equal(weights_of(found.model), weights_of(without.model))


@pytest.mark.parametrize("phase", ["search", "retraining"])
def test_an_augmented_run_that_is_left_goes_on_bit_for_bit(tmp_path, augmented, phase):
    def leave(now, epoch):
        if (now, epoch.number) == (phase, 2):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_on_images(checkpoints=tmp_path, progress=leave)
    again = run_on_images(checkpoints=tmp_path)
    assert again.design.to_json() == augmented.design.to_json()
    assert again.epochs == augmented.epochs
    assert torch.equal(weights_of(again.model), weights_of(augmented.model))
    moves = zip(again.moves, augmented.moves, strict=True)
    assert all(np.array_equal(ours.alpha, theirs.alpha) for ours, theirs in moves)


def test_the_radii_of_balls_are_searched_on_points():
    start = replace(
        preset("logit-adjustment", Examples.of(points()).counts), policy=Policy.ball([[0.3]] * 3)
    )
    found = run(start=start, parameters=("magnitude",), dictionary="class")
    assert {move.refused for move in found.moves} == {""}
    assert (found.design.policy.magnitude != 0.3).all()
    assert (found.design.policy.probability == 1).all()
    assert found.design.additive.tolist() == start.additive.tolist()


def test_a_policy_that_is_not_there_is_not_searched():
    with pytest.raises(DesignError, match="probability is that of an augmentation policy, and the"):
        run(parameters=("probability",))


def never():
    raise AssertionError("this must be known before a model is made")


X, Y = points()
G = np.tile(["a", "b"], 60)


@pytest.mark.parametrize(
    ("data", "objective", "options", "error", "message"),
    [
        ((X, Y), "balanced", {"test_data": (X[:1], ["dog"])}, DataError, "has class 'dog', which"),
        ((X, Y, G), "balanced", {"test_data": (X, Y)}, DataError, "the test data has no groups"),
        (
            (X, Y, G),
            "balanced",
            {"test_data": (X, Y, np.where(G == "a", "c", G))},
            DataError,
            "the test data has group 'c', which the training data has not; leave its examples out",
        ),
        ((X, Y), "equalized-odds", {}, ObjectiveError, "compares groups but"),
        ((X, Y), "balanced", {"start": "best"}, DesignError, "best"),
        ((X[:61], [*Y[:60].tolist(), "cat"]), "error", {}, DataError, "has a single example"),
    ],
    ids=["class", "no groups", "group", "objective", "start", "single"],
)
def test_what_does_not_go_together_is_known_at_once(data, objective, options, error, message):
    with pytest.raises(error, match=message):
        run(never, data, objective, **options)


def test_a_loss_without_values_is_not_searched():
    examples = Examples.of(points())
    train, held_out = split(examples, 0.2, 0)
    design = starting_design("auto", BALANCED, examples)
    searching = new_training(
        network, examples, train, design, SETTINGS, torch.device("cpu"), seed=0
    )
    searching.loss = LDAMLoss(examples.counts)
    with pytest.raises(DesignError, match="has a LDAMLoss, which has no values to search"):
        add_search(searching, examples, held_out, BALANCED, PLAN, 0)


def test_a_cell_that_is_held_out_nowhere_is_left_out_of_the_search_with_a_warning():
    lone = np.where(Y == "cat", "a", G)
    lone[-1] = "b"
    options = {"data": (X, Y, lone), "plan": SearchPlan(0.1, warm_up=0.4, moves=2)}
    with pytest.warns(UserWarning, match=r"of 1 of the cells .* such as class 'cat'.* than 0\.1 "):
        found = run(objective="worst-group", **options)
    assert {move.risks.reshape(3, 2)[2, 1].item() for move in found.moves} == {0.0}
    assert run(**options).moves  # which needs the class, but not in every group


def test_test_data_decide_nothing_even_where_they_are_not_finite():
    x, names = points(seed=1)
    x[0] = torch.nan
    assert run(test_data=(x, names)).evaluation is not None


@pytest.mark.usefixtures("plain_calls")
def test_a_model_is_made_anew_for_both_phases():
    with pytest.raises(DataError, match="a function without arguments that makes one"):
        run(network())


def test_a_frozen_model_has_nothing_to_train():
    with pytest.raises(DataError, match="no parameter of the Sequential requires a gradient"):
        run(lambda: network().requires_grad_(False))


def test_inputs_in_a_dict_and_groups_go_through(tmp_path):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3, bias=False)

        def forward(self, a, b):
            return self.left(a) + self.right(b)

    told = []
    found = run(
        Sum,
        ({"a": X, "b": X.square().numpy()}, Y, G),
        "0.5*error+0.5*worst-group",
        parameters=("weight", "additive"),
        start=preset("group-la", Examples.of((X, Y, G)).counts),
        test_data=({"a": X[:9], "b": X[:9].square()}, Y[:9], G[:9]),
        progress=lambda phase, epoch: told.append((phase, epoch)),
    )
    assert isinstance(found.design, LossDesign)
    assert found.design.additive.shape == (3, 2)
    assert found.design.metadata == {
        "objective": "0.5*error+0.5*worst-group",
        "start": "group-la",
    }
    assert told == [(phase, each) for phase in found.epochs for each in found.epochs[phase]]
    assert list(found.epochs) == list(found.seconds) == ["search", "retraining"]


def test_another_search_is_not_resumed(tmp_path):
    short = TrainingSettings(2, batch_size=16)
    run(training=short, checkpoints=tmp_path)
    with pytest.raises(ArtifactError, match="search are of a run with another search; give a new"):
        run(objective="worst-class", start="logit-adjustment", training=short, checkpoints=tmp_path)
