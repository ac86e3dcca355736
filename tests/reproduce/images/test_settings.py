"""Every value against section 3 of the paper, and what the authors' code does differently."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.neumann import Neumann
from autobalance.losses.presets import preset
from autobalance.reproduce.images.settings import (
    CIFAR10_LT,
    CIFAR100_LT,
    FASHION_MNIST_LT,
    IMAGENET_LT,
    INATURALIST,
    RECIPES,
    Source,
    Upper,
    deviations,
    recipe_for,
)
from autobalance.reproduce.request import AUTHORS_CODE, PAPER, Request
from autobalance.space import SearchSpace
from autobalance.training.augment import CropAndFlip, ResizedCropAndFlip
from autobalance.training.pipeline import cosine_over
from autobalance.training.settings import TrainingSettings

THE_PAPERS = (CIFAR10_LT, CIFAR100_LT, IMAGENET_LT, INATURALIST)
STEPS = 78  # of an epoch: 9,931 of the 12,414 images of CIFAR10-LT by 128
L_AND_DELTA = ("additive", "multiplicative")


def rates_by_epoch(training):
    """The rate in the middle of every epoch of four steps, from the optimizer itself."""
    optimizer = training.make_optimizer(torch.nn.Linear(1, 1))
    schedule = training.make_schedule(optimizer, 4 * training.epochs)
    found = []
    for step in range(4 * training.epochs):
        if step % 4 == 2:
            found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(found)


def moves_of(recipe):
    """(iteration, rate) of every move of α beside a whole search."""
    steps = STEPS * recipe.searching.epochs
    settings = recipe.course.plan_over(steps, L_AND_DELTA).for_steps(steps, L_AND_DELTA)
    number = (steps - settings.warm_up) // settings.every
    optimizer = recipe.course.upper.optimizer([torch.zeros(2)])
    schedule = recipe.course.upper.schedule(optimizer, number)
    found = []
    for move in range(1, number + 1):
        rate = optimizer.param_groups[0]["lr"]
        found.append((settings.warm_up + move * settings.every, rate))
        optimizer.step()
        schedule.step()
    return np.array(found)


@pytest.mark.parametrize(
    ("dataset", "source", "dictionary"),
    [
        (CIFAR10_LT, Source("cifar10", "CIFAR10-LT", 5000, "test", None), "class"),
        (CIFAR100_LT, Source("cifar100", "CIFAR100-LT", 500, "test", None), "cluster:10"),
    ],
)
def test_cifar(dataset, source, dictionary):
    recipe = RECIPES[PAPER][dataset]
    assert (recipe.source, recipe.dictionary, recipe.model) == (source, dictionary, "resnet32")
    assert recipe.searching == recipe.retraining
    training = recipe.retraining
    assert (training.epochs, training.batch_size) == (300, 128)
    assert (training.learning_rate, training.momentum, training.weight_decay) == (0.1, 0.9, 1e-4)
    assert training.augment == CropAndFlip(4)
    assert (training.optimizer, training.scheduler) == (None, None)
    assert not training.nesterov
    assert recipe.start == "weighted"  # Algorithm 1, line 1
    course = recipe.course
    assert (course.upper.rate, course.upper.momentum, course.upper.weight_decay) == (
        0.05,
        0.9,
        1e-4,
    )
    assert (course.plan.held_out, course.parametrisation) == (0.2, "sigmoid")
    assert (course.uniform, course.interpolated) == (False, False)


def test_the_networks_rate_falls_at_epochs_220_and_260():
    rates = rates_by_epoch(RECIPES[PAPER][CIFAR10_LT].retraining)
    assert rates == pytest.approx(np.repeat([0.1, 0.01, 0.001], [220, 40, 40]))


def test_alpha_moves_from_epoch_120_and_its_rate_falls_at_epochs_220_and_260():
    iteration, rate = moves_of(RECIPES[PAPER][CIFAR10_LT]).T
    assert iteration[0] == 120 * STEPS + 30
    assert (np.diff(iteration) == 30).all()
    assert iteration[-1] == 300 * STEPS
    epoch = np.ceil(iteration / STEPS)
    expected = np.select([epoch <= 220, epoch <= 260], [0.05, 0.005], 0.0005)
    assert rate == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dataset", "source", "dictionary"),
    [
        (IMAGENET_LT, Source("imagenet-lt", "ImageNet-LT", None, "test", 256), "cluster:20"),
        (
            INATURALIST,
            Source("inaturalist-2018", "iNaturalist 2018", None, "validation", 256),
            "cluster:40",
        ),
    ],
)
def test_imagenet_and_inaturalist(dataset, source, dictionary):
    recipe = RECIPES[PAPER][dataset]
    assert (recipe.source, recipe.dictionary, recipe.model) == (source, dictionary, "resnet50")
    assert (recipe.searching.epochs, recipe.retraining.epochs) == (150, 90)
    assert replace(recipe.searching, epochs=90) == recipe.retraining
    training = recipe.retraining
    assert training.batch_size == 128
    assert (training.learning_rate, training.momentum, training.weight_decay) == (0.05, 0.9, 5e-4)
    assert training.augment == ResizedCropAndFlip(224)
    assert recipe.start == "weighted"
    course = recipe.course
    assert (course.upper.rate, course.upper.momentum, course.upper.weight_decay) == (
        0.05,
        0.9,
        1e-4,
    )
    assert (course.plan.held_out, course.parametrisation) == (0.2, "sigmoid")
    assert (course.uniform, course.interpolated) == (False, False)
    rates = rates_by_epoch(training)
    assert rates == pytest.approx(0.025 * (1 + np.cos(np.pi * (np.arange(90) + 0.5) / 90)))
    iteration, rate = moves_of(recipe).T
    assert iteration[0] == 40 * STEPS + 30
    number = len(rate)
    cosine = 0.025 * (1 + np.cos(np.pi * np.arange(number) / (number + 1)))
    assert rate == pytest.approx(cosine)


@pytest.mark.parametrize(
    ("dataset", "n_classes", "values"),
    [
        (CIFAR10_LT, 10, 20),
        (CIFAR100_LT, 100, 20),
        (IMAGENET_LT, 1000, 100),
        (INATURALIST, 8142, 408),
    ],
)
def test_as_many_values_are_searched_as_the_paper_has(dataset, n_classes, values):
    recipe = RECIPES[PAPER][dataset]
    counts = Counts(np.geomspace(500, 5, n_classes)[:, None], tuple(range(n_classes)))
    start = replace(preset(recipe.start, counts), ridge=1e-4)
    course = recipe.course
    space = SearchSpace.build(start, L_AND_DELTA, recipe.dictionary, course.parametrisation)
    assert space.dimension == values
    assert space.start.weight[:, 0] * counts.per_class == pytest.approx(
        np.full(n_classes, counts.values.sum() / n_classes)
    )


@pytest.mark.parametrize("dataset", THE_PAPERS)
def test_the_authors_code_differs_in_what_it_is_said_to(dataset):
    paper, theirs = RECIPES[PAPER][dataset], RECIPES[AUTHORS_CODE][dataset]
    course, settings = theirs.course, theirs.course.plan.settings
    assert (type(settings.solver), settings.solver.terms, settings.solver.step) == (Neumann, 5, 1.0)
    assert isinstance(settings.curvature, Hessian)  # double backward
    assert (settings.recent_batches, settings.held_out_batches) == (10, 10)
    assert course.plan.batch_size == 128
    assert course.uniform
    assert course.interpolated
    assert course.upper == replace(paper.course.upper, rate=0.01)
    assert theirs.start == "cross-entropy"
    assert theirs.searching == replace(paper.searching, warm_up_epochs=5.0)
    assert theirs.retraining.warm_up_epochs == 5.0
    # and in nothing else
    plan = replace(course.plan, settings=paper.course.plan.settings, batch_size=512)
    back = replace(course, plan=plan, upper=paper.course.upper, uniform=False, interpolated=False)
    assert back == paper.course
    rest = {"searching", "retraining", "course", "start"}
    for name in vars(paper).keys() - rest:
        assert getattr(theirs, name) == getattr(paper, name)


def test_the_authors_code_retrains_for_200_epochs_on_cifar():
    for dataset in (CIFAR10_LT, CIFAR100_LT):
        training = RECIPES[AUTHORS_CODE][dataset].retraining
        rates = rates_by_epoch(training)
        rise = (4 * np.arange(5) + 2 + 1) / (4 * 5 + 1)
        assert rates[:5] == pytest.approx(0.1 * rise)
        assert rates[5:] == pytest.approx(np.repeat([0.1, 0.01, 0.001], [155, 20, 20]))
        same = TrainingSettings(augment=training.augment, momentum=0.9, weight_decay=1e-4)
        for name in ("learning_rate", "momentum", "weight_decay", "batch_size", "augment"):
            assert getattr(training, name) == getattr(same, name)
    for dataset in (IMAGENET_LT, INATURALIST):
        theirs = RECIPES[AUTHORS_CODE][dataset].retraining
        assert replace(theirs, warm_up_epochs=0.0) == RECIPES[PAPER][dataset].retraining


def asked(tmp_path, **options):
    return Request(tmp_path, **options)


def test_other_epochs_scale_both_schedules(tmp_path):
    recipe = recipe_for(asked(tmp_path, epochs=30), CIFAR10_LT)
    assert (recipe.searching.epochs, recipe.retraining.epochs) == (30, 30)
    assert rates_by_epoch(recipe.retraining) == pytest.approx(
        np.repeat([0.1, 0.01, 0.001], [22, 4, 4])
    )
    iteration, rate = moves_of(recipe).T
    epoch = iteration / STEPS
    assert 12 < epoch[0] < 13
    assert rate[epoch < 21.5] == pytest.approx(0.05)
    assert rate[(epoch > 22.5) & (epoch < 25.5)] == pytest.approx(0.005)
    assert rate[epoch > 26.5] == pytest.approx(0.0005)


def test_a_rise_takes_a_tenth_of_the_epochs_at_most(tmp_path):
    request = asked(tmp_path, epochs=30, preset=AUTHORS_CODE)
    assert recipe_for(request, CIFAR10_LT).retraining.warm_up_epochs == 3.0
    request = asked(tmp_path, epochs=100, preset=AUTHORS_CODE)
    assert recipe_for(request, CIFAR10_LT).searching.warm_up_epochs == 5.0


def test_a_deviation_is_a_sentence(tmp_path):
    for dataset in THE_PAPERS:
        assert deviations(recipe_for(asked(tmp_path), dataset), dataset) == ()
    recipe = recipe_for(asked(tmp_path, epochs=90, model="resnet20"), IMAGENET_LT)
    assert recipe.model == "resnet20"
    assert deviations(recipe, IMAGENET_LT) == (
        "the network is a resnet20 where the paper has a resnet50",
        "searching takes 90 epochs where the paper's takes 150",
    )
    theirs = recipe_for(asked(tmp_path, preset=AUTHORS_CODE), CIFAR10_LT)
    assert deviations(theirs, CIFAR10_LT) == (
        "retraining takes 200 epochs where the paper's takes 300",
        "what the authors' code does differently from the paper is done as in it",
    )
    (ours,) = deviations(recipe_for(asked(tmp_path), FASHION_MNIST_LT), FASHION_MNIST_LT)
    assert "the paper has no such row" in ours


def test_policies_are_learned_where_rare_images_come_often(tmp_path):
    request = asked(tmp_path)
    ours, plain = (recipe_for(request, FASHION_MNIST_LT, each) for each in (True, False))
    assert (ours.start, plain.start) == ("weighted", "cross-entropy")
    for phase in ("searching", "retraining"):
        drawn = replace(getattr(ours, phase), weights="multiply", epochs=20)
        assert drawn == getattr(plain, phase)
    assert recipe_for(asked(tmp_path, epochs=7), FASHION_MNIST_LT, True).retraining.epochs == 7
    assert recipe_for(request, CIFAR10_LT, True) == recipe_for(request, CIFAR10_LT)
    theirs = asked(tmp_path, preset=AUTHORS_CODE)
    assert recipe_for(theirs, CIFAR10_LT, True) == RECIPES[AUTHORS_CODE][CIFAR10_LT]


def test_the_authors_code_knows_nothing_of_fashion_mnist(tmp_path):
    with pytest.raises(
        DataError,
        match="has nothing for fashion-mnist-lt; leave --preset authors-code out",
    ):
        recipe_for(asked(tmp_path, preset=AUTHORS_CODE), FASHION_MNIST_LT)


def test_what_was_published_as_files_has_no_lossless_original():
    lossless = {name for name, recipe in RECIPES[PAPER].items() if recipe.source.lossless}
    assert lossless == {CIFAR10_LT, CIFAR100_LT, FASHION_MNIST_LT}


def test_alpha_has_sgd_with_momentum_and_decay():
    alpha = torch.tensor([2.0, -1.0])
    optimizer = Upper(0.5, momentum=0.9, weight_decay=0.1).optimizer([alpha])
    alpha.grad = torch.tensor([1.0, 1.0])
    optimizer.step()  # v = g + 0.1 α = (1.2, 0.9)
    assert alpha.tolist() == pytest.approx([1.4, -1.45])
    alpha.grad = torch.zeros(2)
    optimizer.step()  # v = 0.9 (1.2, 0.9) + 0.1 α = (1.22, 0.665)
    assert alpha.tolist() == pytest.approx([0.79, -1.7825])


def test_without_milestones_the_rate_falls_as_that_of_the_librarys_own():
    ours = Upper(5.0)
    optimizer = ours.optimizer([torch.zeros(1)])
    reference = torch.optim.SGD([torch.zeros(1)], lr=5.0)
    schedule, expected = ours.schedule(optimizer, 7), cosine_over(reference, 7)
    for _ in range(7):
        optimizer.step()
        reference.step()
        schedule.step()
        expected.step()
        assert schedule.get_last_lr() == expected.get_last_lr()
