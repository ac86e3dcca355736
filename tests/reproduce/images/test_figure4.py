"""Errors over the epochs of a search: parts, and that what is seen decides nothing."""

import numpy as np
import pytest
import torch

from autobalance.reproduce.images import figure4
from autobalance.reproduce.images.figure4 import REPRODUCTION, SHARES, Searches, parts_of
from autobalance.reproduce.images.methods import values
from autobalance.reproduce.images.rows import HEADLINE
from autobalance.reproduce.images.settings import FASHION_MNIST_LT
from autobalance.reproduce.images.work import BY_KEY, scored
from autobalance.reproduce.runs import Unit

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)


def test_all_shares_train_on_the_same_images(lab):
    parts = {share: parts_of(lab, share) for share in SHARES}
    train, left = parts[0.4]
    assert sorted([*train.tolist(), *left.tolist()]) == list(range(105))
    assert torch.bincount(lab.examples.targets[train]).tolist() == [36, 18, 9]
    for share, (same, held_out) in parts.items():
        assert torch.equal(same, train)
        assert set(held_out.tolist()) <= set(left.tolist())
        assert len(held_out) == pytest.approx(share * 105, abs=2)
    of_classes = [torch.bincount(lab.examples.targets[each]).tolist() for _, each in parts.values()]
    assert of_classes == [[3, 2, 1], [6, 3, 2], [12, 6, 3], [24, 12, 6]]  # 1.5 is 2: to even


def test_a_row_is_what_was_seen_after_each_epoch(job):
    (row,) = Searches(job)(Unit(("held-out-0.2",), 1)).values()
    # the same search with nobody looking, and its end by hand
    lab = job.lab(1)
    train, held_out = parts_of(lab, 0.2)
    search = BY_KEY[HEADLINE].search(lab, parts=(train, held_out))
    assert row["design"] == values(search.design())
    predict = lab.network(search.model)
    wrong = predict(lab.examples) != lab.examples.targets.numpy()
    ends = {"test": scored(job.data.test, predict)["balanced"]}
    for part, rows, classes in (("train", train, (0, 1, 2)), ("held_out", held_out, (0, 1))):
        y = lab.examples.targets[rows].numpy()
        assert set(y.tolist()) == {*classes}  # one of the two images of class 2 is trained on
        ends[part] = 100 * np.mean([wrong[rows][y == k].mean() for k in classes])
    for part, end in ends.items():
        assert len(row[part]) == 3
        assert row[part][-1] == pytest.approx(end, abs=1e-3)
    assert row["told"].startswith(f"training {ends['train']:.1f}%, held out")


def test_the_table_has_paired_gaps():
    rows = [
        {"train": [9.0, 1.0], "held_out": [9.0, 20.0], "test": [9.0, 26.0]},
        {"train": [9.0, 3.0], "held_out": [9.0, 24.0], "test": [9.0, 28.0]},
    ]
    table = figure4._table(dict.fromkeys(figure4._KEYS, rows))
    assert [line.cells[0] for line in table.lines] == ["5%", "10%", "20%", "40%"]
    assert table.lines[0].cells[1:] == (
        "2.00 ± 1.00",
        "22.00 ± 2.00",
        "27.00 ± 1.00",
        "+5.00 ± 1.00",
    )
    assert table.columns[1:4] == ("Training", "Held out", "Test")


def test_the_figure_on_small_images(asked, watch):
    request = asked(dataset=FASHION_MNIST_LT)
    REPRODUCTION.check(request)
    outcome = REPRODUCTION.run(request, watch)
    assert outcome.name == "figure4_fashion_mnist_lt"
    assert outcome.conditions["Trained on"] == "60% of the training images, whatever is held out"
    keys = ["held-out-0.05", "held-out-0.1", "held-out-0.2", "held-out-0.4"]
    assert [row["method"] for row in outcome.rows] == keys
    assert not any("told" in row for row in outcome.rows)
    # until the first move of the loss, networks are the same
    assert len({row["train"][0] for row in outcome.rows}) == 1
    (picture,) = outcome.pictures
    for axes, row in zip(picture.draw(760).axes, outcome.rows, strict=True):
        drawn = [line.get_ydata().tolist() for line in axes.lines]
        assert drawn == [row["train"], row["held_out"], row["test"]]

    said = len(watch.said)
    assert REPRODUCTION.run(request, watch).rows == outcome.rows
    assert watch.said[said:] == ["4 of 4 runs are finished already"]
