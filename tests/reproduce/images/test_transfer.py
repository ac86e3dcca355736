"""Designs for other classes by hand, and a transfer on a few small images."""

from dataclasses import replace

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.losses.presets import preset
from autobalance.models.factory import BUILT_IN
from autobalance.reproduce.images import transfer
from autobalance.reproduce.images.rows import DEFAULT, HEADLINE, LOGIT_ADJUSTED
from autobalance.reproduce.images.settings import CIFAR10_LT, FASHION_MNIST_LT, RECIPES
from autobalance.reproduce.images.tables import DATASETS
from autobalance.reproduce.images.transfer import (
    DESIGNS,
    OTHER_DATA,
    OTHER_NETWORK,
    REPRODUCTION,
    transported,
)
from autobalance.reproduce.images.work import Job, scored
from autobalance.reproduce.request import AUTHORS_CODE, PAPER, Request

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
NAMES = ("weight", "additive", "multiplicative")


def counts_of(*sizes):
    return Counts(np.array(sizes, dtype=float)[:, None], tuple(range(len(sizes))))


def design_of(counts, **values):
    columns = {"weight": [1.0], "additive": [0.0], "multiplicative": [1.0]} | values
    K = counts.n_classes
    return LossDesign(
        counts, *(np.broadcast_to(columns[name], (K,))[:, None].copy() for name in NAMES)
    )


def test_for_the_same_counts_a_design_stays_as_it_is():
    counts = counts_of(30, 80, 5, 80)
    for name in ("vs", "weighted", "weighted-adjustment"):
        design = preset(name, counts)
        moved = transported(design, counts)
        for each in NAMES:
            assert getattr(moved, each) == pytest.approx(getattr(design, each), rel=1e-12)
    assert transported(replace(preset("cdt", counts), ridge=0.3), counts).ridge == 0.3


def test_values_go_to_the_class_of_the_same_rank():
    design = design_of(counts_of(10, 90, 50), additive=[-3.0, 1.0, 2.0])
    moved = transported(design, counts_of(200, 4, 60))
    assert moved.additive[:, 0].tolist() == [1.0, -3.0, 2.0]
    assert moved.counts.per_class.tolist() == [200, 4, 60]


def test_between_ranks_values_are_interpolated():
    design = design_of(
        counts_of(90, 50, 10), additive=[0.0, -1.0, -5.0], multiplicative=[1.0, 0.8, 0.4]
    )
    more = transported(design, counts_of(1, 50, 30, 20, 10))
    assert more.additive[:, 0] == pytest.approx([-5.0, 0.0, -0.5, -1.0, -3.0])
    assert more.multiplicative[:, 0] == pytest.approx([0.4, 1.0, 0.9, 0.8, 0.6])
    fewer = transported(design, counts_of(5, 500))
    assert fewer.additive[:, 0].tolist() == [-5.0, 0.0]
    four = transported(design, counts_of(9, 8, 7, 6))  # ranks at thirds
    assert four.additive[:, 0] == pytest.approx([0.0, -2 / 3, -7 / 3, -5.0])


def test_weights_have_mean_one_over_the_new_examples():
    design = preset("weighted", counts_of(90, 50, 10))
    assert float((design.counts.frequencies * design.weight).sum()) == pytest.approx(1)
    for sizes in ((7, 500), (1, 2, 3, 4, 5), (100, 90, 80)):
        counts = counts_of(*sizes)
        moved = transported(design, counts)
        mean = sum(n * w for n, w in zip(sizes, moved.weight[:, 0], strict=True)) / sum(sizes)
        assert mean == pytest.approx(1)
        least, most = np.argmin(sizes), np.argmax(sizes)
        assert moved.weight[least, 0] / moved.weight[most, 0] == pytest.approx(9)


def test_every_data_set_has_another_network_and_other_data():
    for dataset in DATASETS:
        assert OTHER_NETWORK[dataset] in BUILT_IN
        assert OTHER_NETWORK[dataset] != RECIPES[PAPER][dataset].model
        assert OTHER_DATA[dataset] in DATASETS
        assert OTHER_DATA[dataset] != dataset


def test_the_authors_code_need_not_know_the_other_data(tmp_path, data_folder, watch, monkeypatch):
    """It has nothing for Fashion-MNIST-LT, where a design of CIFAR10-LT goes."""
    request = Request(tmp_path, data_folder, preset=AUTHORS_CODE, epochs=2, device="cpu")
    source = Job.of(request, CIFAR10_LT, watch)
    monkeypatch.setattr(Job, "data", property(lambda self: _Titled(self.recipe.source.title)))
    network, other = transfer._targets(source, request).items()
    assert network[0] == "CIFAR10-LT, resnet20"
    assert network[1] == replace(source, recipe=replace(source.recipe, model="resnet20"))
    assert other[0] == "Fashion-MNIST-LT, resnet32"
    recipe = other[1].recipe
    assert (other[1].dataset, recipe.source.data) == (FASHION_MNIST_LT, "fashion-mnist")
    assert recipe.retraining == source.recipe.retraining


def test_the_other_network_is_not_the_one_that_was_asked_for(asked, watch):
    request = asked(model=OTHER_NETWORK[FASHION_MNIST_LT])
    source = Job.of(request, FASHION_MNIST_LT, watch)
    network, other = transfer._targets(source, request).values()
    assert (source.recipe.model, network.recipe.model) == ("small-cnn", "strided-cnn")
    assert other.recipe.model == "small-cnn"


class _Titled:
    def __init__(self, title):
        self.title = title


def test_other_data_that_are_not_there_are_left_out(asked, data_folder, watch):
    (data_folder / "mnist").rename(data_folder / "elsewhere")
    request = asked()
    source = Job.of(request, FASHION_MNIST_LT, watch)
    assert list(transfer._targets(source, request)) == ["Toy-LT, small-cnn"]


@pytest.mark.slow
def test_a_transfer_on_small_images(asked, watch, data_folder):
    request = asked(dataset=FASHION_MNIST_LT)
    REPRODUCTION.check(request)
    outcome = REPRODUCTION.run(request, watch)
    assert outcome.name == "transfer_fashion_mnist_lt"
    assert outcome.title == "Transfer: losses designed on Toy-LT"
    assert outcome.conditions["Designed with"] == "strided-cnn"
    targets = ["Toy-LT, small-cnn", "Other-LT, strided-cnn"]
    moved = [f"{key}-transferred" for key in DESIGNS]
    found = [(row["target"], row["method"]) for row in outcome.rows]
    keys = (LOGIT_ADJUSTED, *DESIGNS, *moved)
    assert found == [(target, key) for target in targets for key in keys]
    assert not any("told" in row for row in outcome.rows)

    assert [table.title for table in outcome.tables] == [
        f"Retrained on {target}: balanced error on the test images, %" for target in targets
    ]
    for table in outcome.tables:
        assert [line.cells[0] for line in table.lines] == [
            "Logit adjustment, τ = 1",
            "AutoBalance: Δ & l, LA init",
            "AutoBalance, the library's default",
        ]
    errors = {(row["target"], row["method"]): row["balanced"] for row in outcome.rows}
    for target, table in zip(targets, outcome.tables, strict=True):
        lines = table.lines
        plain = errors[target, LOGIT_ADJUSTED]
        assert lines[0].cells[1:] == (f"{plain:.2f}", "", "")
        for key, line in zip(DESIGNS, lines[1:], strict=True):
            there, here = errors[target, key], errors[target, f"{key}-transferred"]
            gap = f"{here - plain:+.2f}".replace("-", "−")
            assert line.cells[1:] == (f"{there:.2f}", f"{here:.2f}", gap)

    # a transferred row is retraining with the design of the source's finished run
    source = Job.of(request, FASHION_MNIST_LT, watch)
    kept = source.kept(request.out).read(HEADLINE, 0)["design"]
    columns = (np.array(kept[name])[:, None] for name in NAMES)
    design = LossDesign(source.data.train.counts, *columns)
    job = transfer._targets(source, request)[targets[1]]
    lab = job.lab(0)
    assert lab.counts.n_classes == 4
    model = lab.train(transported(design, lab.counts))
    balanced = scored(job.data.test, lab.network(model))["balanced"]
    assert balanced == errors[targets[1], moved[0]]
    assert (HEADLINE, DEFAULT) == DESIGNS

    said = len(watch.said)
    assert REPRODUCTION.run(request, watch).rows == outcome.rows
    assert all(sentence.endswith("runs are finished already") for sentence in watch.said[said:])
