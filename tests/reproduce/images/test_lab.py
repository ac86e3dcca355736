"""What all methods have in common: the same weights, split and batches, and α moved as asked."""

import gc
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from autobalance.losses.ldam import LDAMLoss
from autobalance.models.normalised import NormalisedLinear
from autobalance.reproduce.images.network import Network
from autobalance.reproduce.images.settings import Course, Upper
from autobalance.reproduce.sealed import Sealed
from autobalance.training.augment import ResizedCropAndFlip
from autobalance.training.examples import Examples
from autobalance.training.plan import SearchPlan
from autobalance.training.resampling import ResampledBatches
from autobalance.training.sampling import ShuffledBatches, StratifiedBatches

PLAN = SearchPlan(warm_up=0.2, moves=2, learning_rate=0.15, batch_size=12)


def weights_of(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def fresh(lab, loss, **options):
    return lab.training(loss, lab.everything, lab.recipe.retraining, **options)


def search(lab, course=None, parameters=("additive",), **options):
    start = lab.preset("logit-adjustment")
    return lab.search(start, parameters, "class", course or Course(PLAN), **options)


def test_every_loss_starts_from_the_same_weights_and_batches(lab):
    first, second, third = (
        fresh(lab, loss)
        for loss in (lab.preset("cross-entropy"), lab.preset("weighted"), LDAMLoss(lab.counts))
    )
    shown = list(first.batches)
    for other in (second, third):
        assert torch.equal(weights_of(first.model), weights_of(other.model))
        for ours, theirs in zip(shown, other.batches, strict=True):
            assert torch.equal(ours.inputs, theirs.inputs)


def test_a_search_starts_from_them_too(lab):
    seen = []
    never = Course(replace(PLAN, warm_up=1.0))
    search(lab, never, observe=lambda _, model: seen.append(weights_of(model)))
    plain = lab.training(lab.preset("logit-adjustment"), lab.parts[0], lab.recipe.searching)
    plain.run()
    assert torch.equal(seen[-1], weights_of(plain.model))


def test_the_same_training_gives_the_same_weights(lab, lab_of):
    design = lab.preset("logit-adjustment")
    first, second = (weights_of(lab.train(design)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, weights_of(lab_of(seed=1).train(design)))


def test_training_leaves_the_callers_random_stream_alone(lab):
    torch.manual_seed(3)
    lab.train(lab.preset("cross-entropy"))
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_the_split_is_stratified_and_of_the_seed_and_the_share(lab, lab_of):
    train, held_out = lab.parts
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(105))
    assert torch.bincount(lab.examples.targets[held_out]).tolist() == [12, 6, 3]
    assert not torch.equal(lab_of(seed=1).parts[1], held_out)
    other = lab_of(course=Course(replace(PLAN, held_out=0.4)))
    assert torch.bincount(lab.examples.targets[other.parts[1]]).tolist() == [24, 12, 6]
    assert lab.steps_per_epoch == 6  # 84 images by 16, and the four that are left


def test_ldam_gets_a_head_of_cosines(lab):
    assert isinstance(
        fresh(lab, LDAMLoss(lab.counts), cosines=True).model[1].head, NormalisedLinear
    )
    assert not isinstance(fresh(lab, LDAMLoss(lab.counts)).model[1].head, NormalisedLinear)


def test_classes_are_drawn_by_a_power_of_their_size_where_one_is_given(lab):
    design = lab.preset("cross-entropy")
    drawn = fresh(lab, design, exponent=0.0).batches
    assert isinstance(drawn, ResampledBatches)
    shown = torch.cat([batch.targets for _ in range(20) for batch in drawn])
    assert torch.bincount(shown) / len(shown) == pytest.approx(torch.full((3,), 1 / 3), abs=0.03)
    shown = torch.cat([batch.targets for batch in fresh(lab, design).batches])
    assert torch.bincount(shown).tolist() == [60, 30, 15]


def test_alpha_has_the_optimizer_and_the_schedule_of_the_course(lab):
    upper = Upper(0.04, milestones=(0.5,), momentum=0.5, weight_decay=0.01)
    found = search(lab, Course(replace(PLAN, warm_up=0.0), upper, every=6))
    optimizer = found.alpha.optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0.01)
    assert [move.iteration for move in found.history] == [6, 12, 18]
    assert [move.refused for move in found.history] == ["", "", ""]
    # after each move: half of three moves are two, by rounding to even
    rates = [move.learning_rate for move in found.history]
    assert rates == pytest.approx([0.04, 0.004, 0.004])


def test_without_one_alpha_has_that_of_the_library(lab):
    found = search(lab)
    assert isinstance(found.alpha.optimizer, torch.optim.Adam)
    assert [move.iteration for move in found.history] == [11, 18]
    cosine = 0.15 * (1 + np.cos(np.pi * np.array([1, 2]) / 3)) / 2
    assert [move.learning_rate for move in found.history] == pytest.approx(cosine)


def test_held_out_batches_are_stratified(lab):
    batches = search(lab, Course(replace(PLAN, warm_up=1.0))).held_out
    assert isinstance(batches, StratifiedBatches)
    shown, _ = zip(*zip(batches, range(5), strict=False), strict=True)
    assert [torch.bincount(batch.targets).tolist() for batch in shown] == [[4, 4, 3]] * 5


def test_or_uniform_where_the_course_says_so(lab):
    batches = search(lab, Course(replace(PLAN, warm_up=1.0), uniform=True)).held_out
    assert isinstance(batches, ShuffledBatches)
    shown = list(batches)
    assert [len(batch.targets) for batch in shown] == [12, 9]
    assert torch.bincount(torch.cat([batch.targets for batch in shown])).tolist() == [12, 6, 3]
    held_out = lab.examples.inputs[lab.parts[1]].flatten(1).tolist()
    images = torch.cat([batch.inputs for batch in shown]).flatten(1).tolist()
    assert sorted(images) == sorted(held_out)  # and as they are: only training images are cropped


def test_parts_and_their_source_can_be_given(lab, examples):
    other = Examples.coded(255 - examples.inputs, examples.targets)
    few = torch.arange(0, 105, 5)
    seen = []
    found = search(
        lab,
        Course(replace(PLAN, warm_up=1.0, batch_size=30)),
        parts=(lab.everything, few),
        held_out_from=other,
        observe=lambda epoch, model: seen.append((epoch, Network(model))),
    )
    (batch,) = zip(found.held_out, range(1), strict=False)
    assert torch.equal(batch[0].inputs, other.inputs[few])
    epoch, predict = seen[-1]
    wrong = predict(other)[few] != other.targets[few].numpy()
    by_hand = [wrong[other.targets[few] == k].mean() for k in range(3)]
    assert np.ravel(epoch.cell_errors) == pytest.approx(np.array(by_hand))


def test_who_observes_is_told_every_epoch_and_changes_nothing(lab):
    told = []

    def observe(epoch, model):
        told.append(epoch.number)
        Network(model)(lab.examples)  # in evaluation mode
        torch.rand(5)

    seen, unseen = search(lab, observe=observe), search(lab)
    assert told == [1, 2, 3]
    assert len(seen.history) == len(unseen.history) == 2
    for name in ("weight", "additive", "multiplicative"):
        assert np.array_equal(getattr(seen.design(), name), getattr(unseen.design(), name))
    assert torch.equal(weights_of(seen.model), weights_of(unseen.model))
    start = lab.preset("logit-adjustment")
    assert not np.allclose(seen.design().additive, start.additive, atol=1e-3)


class Pictures(Dataset):
    """Images that are made when they are asked for."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, position):
        return self.images[position]


def test_images_that_are_cut_out_of_larger_ones(lab_of, draw):
    images, y = draw((40, 20, 10), 0, side=12)
    images = torch.from_numpy(np.repeat(images, 3, axis=1))
    cut = {"augment": ResizedCropAndFlip(8)}
    in_memory = lab_of(training=cut, train=Examples.coded(images, y))
    model = in_memory.train(in_memory.preset("cross-entropy"))
    assert model[0].size == (8, 8)
    # of a whole image, the middle is seen
    padded = torch.zeros(70, 3, 12, 12, dtype=torch.uint8)
    padded[:, :, 2:10, 2:10] = images[:, :, 2:10, 2:10]
    whole, middle = (Network(model).logits(Examples.coded(each, y)) for each in (images, padded))
    assert torch.equal(whole, middle)
    seen = []
    training = in_memory.training(
        in_memory.preset("cross-entropy"), in_memory.everything, in_memory.recipe.retraining
    )
    training.model[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    training.run()
    assert {tuple(shape[1:]) for shape in seen} == {(3, 8, 8)}
    # images that are made when they are asked for are trained on alike
    late = lab_of(training=cut, train=Examples.coded(Pictures(images), y))
    again = late.train(late.preset("cross-entropy"))
    assert torch.equal(weights_of(model), weights_of(again))
    assert len(search(late).history) == 2


def test_a_risk_is_the_mean_over_the_classes(lab):
    risk = lab.held_out_risk()
    y = lab.examples.targets[lab.parts[1]]
    predicted = y.clone()
    predicted[(y == 2).nonzero()[0]] = 0  # one of three
    predicted[(y == 0).nonzero()[:3]] = 1  # three of twelve
    sure = 50 * torch.nn.functional.one_hot(predicted, 3).double()
    right = 50 * torch.nn.functional.one_hot(y, 3).double()
    assert float(risk(right).total) < 1e-6 < float(risk(sure).total)
    risk.profile_temperature = False  # the logits as they are: as good as decisions
    assert float(risk(sure).total) == pytest.approx((0 + 1 / 3 + 1 / 4) / 3, abs=1e-6)


def test_held_out_logits_are_of_the_held_out_examples(lab):
    model = lab.train(lab.preset("cross-entropy"), lab.parts[0])
    everything = Network(model).logits(lab.examples)
    torch.testing.assert_close(lab.held_out_logits(model), everything[lab.parts[1]])


def reachable(start):
    """Everything that an object leads to, beside classes and modules."""
    seen, left = {}, [start]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type | types.ModuleType):
            continue
        seen[id(each)] = each
        if isinstance(each, types.FunctionType):  # without the module that it is of
            left += [each.__closure__, each.__defaults__, each.__kwdefaults__]
        else:
            left += gc.get_referents(each)
    return list(seen.values())


@pytest.mark.filterwarnings("ignore:.* images where the official one has .*:UserWarning")
def test_nothing_of_the_scored_part_can_be_reached_from_a_lab(job):
    lab = job.lab(0)
    found = search(lab)
    for start in (lab, found):
        everything = reachable(start)
        assert any(each is lab.examples.targets for each in everything)
        assert not any(isinstance(each, Sealed) for each in everything)
    assert any(isinstance(each, Sealed) for each in reachable(job.data))  # which has one
