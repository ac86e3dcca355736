"""How l and δ move: the table, the checks by hand, and the whole figure on a few small images."""

import numpy as np
import pytest

from autobalance.reproduce.images import figure3
from autobalance.reproduce.images.figure3 import PANELS, REPRODUCTION
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.settings import FASHION_MNIST_LT
from autobalance.reproduce.images.tables import TABLE1

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
L = PANELS[1]


def row(method, seed, *ends, classes=(1, 1, 1), **others):
    """A course of two points for each cluster, the last of which are given."""
    course = {"classes": list(classes), "steps": [10, 20], "steps_per_epoch": 5}
    found = {"additive": ends, **others}
    values = {name: [[0.0] * len(each), list(each)] for name, each in found.items()}
    return {"method": method, "seed": seed, "course": {**course, **values}}


def test_panels_are_the_published_ones():
    assert [(panel.method, panel.values) for panel in PANELS] == [
        ("autobalance-delta", "multiplicative"),
        ("autobalance-l", "additive"),
        ("autobalance-delta-l", "multiplicative"),
        ("autobalance-delta-l", "additive"),
    ]


def test_the_table_has_the_last_values_of_each_cluster():
    few = {"classes": (2, 2, 1), "multiplicative": (0.75, 0.5, 0.25)}
    rows = [
        row("autobalance-l", 0, 2.0, 0.5, -1.0, **few),
        row("autobalance-l", 1, 1.0, 0.5, -2.0, **few),
        row("autobalance-delta", 0, 9.0, 9.0, 9.0, **few),
        row("autobalance-delta-l", 0, 0.1, 0.0, -0.1, **few),
    ]
    table = figure3._table(rows)
    assert [line.cells for line in table.lines] == [
        ("ranks 1 to 2", "0.75", "1.50 ± 0.50", "0.75", "0.10"),
        ("ranks 3 to 4", "0.50", "0.50 ± 0.00", "0.50", "0.00"),
        ("rank 5", "0.25", "−1.50 ± 0.50", "0.25", "−0.10"),
    ]
    assert table.columns[1:3] == ("δ in AutoBalance: Δ", "l in AutoBalance: l")


@pytest.mark.parametrize(
    ("ends", "passed", "found"),
    [
        ([(3.0, 2.0, 1.0)], True, "+1.00"),
        ([(1.0, 2.0, 3.0)], False, "−1.00"),
        ([(3.0, 1.0, 2.0), (3.0, 2.0, 1.0)], True, "+0.50, +1.00"),
        ([(3.0, 2.0, 1.0), (1.0, 3.0, 2.0)], False, "+1.00, −0.50"),
        ([(1.0, 1.0, 1.0)], False, "+0.00"),
    ],
)
def test_values_must_fall_with_the_frequency_for_every_seed(ends, passed, found):
    rows = [row("autobalance-l", seed, *each) for seed, each in enumerate(ends)]
    check = figure3._check(L, rows)
    assert (check.passed, check.found) == (passed, found)
    assert "l in AutoBalance: l is smaller for rarer classes" in check.claim


def test_the_figure_on_small_images(asked, watch, monkeypatch):
    request = asked(dataset=FASHION_MNIST_LT)
    REPRODUCTION.check(request)
    outcome = REPRODUCTION.run(request, watch)
    assert outcome.name == "figure3_fashion_mnist_lt"
    assert outcome.title == "Figure 3: how the loss moves on Toy-LT"
    methods = ["autobalance-delta", "autobalance-l", "autobalance-delta-l"]
    assert [row["method"] for row in outcome.rows] == methods
    for each in outcome.rows:
        assert set(each) == {"method", "seed", "course"}
        course = each["course"]
        assert len(course["steps"]) == len(course["additive"]) == len(course["multiplicative"]) == 2
        assert course["classes"] == [1, 1, 1]
    (table,) = outcome.tables
    assert [line.cells[0] for line in table.lines] == ["rank 1", "rank 2", "rank 3"]
    assert len(outcome.checks) == 4

    # the courses that are drawn are those of the rows, over epochs, most frequent class first
    (picture,) = outcome.pictures
    bars, *axes = picture.draw(760).axes
    delta, additive, _, _ = axes
    assert [patch.get_height() for patch in bars.patches[:3]] == pytest.approx([160, 16, 1.6])
    course = outcome.rows[1]["course"]
    epochs = np.array(course["steps"]) / course["steps_per_epoch"]
    for place, line in enumerate(additive.lines):
        assert line.get_xdata() == pytest.approx(epochs)
        assert line.get_ydata() == pytest.approx([point[place] for point in course["additive"]])
    assert delta.lines[0].get_ydata()[-1] == outcome.rows[0]["course"]["multiplicative"][-1][0]

    # a table takes the same runs
    monkeypatch.setattr(ImageLab, "train", None)
    rows = TABLE1.run(asked(dataset=FASHION_MNIST_LT, methods=tuple(methods)), watch).rows
    courses = {row["method"]: row["course"] for row in outcome.rows}
    assert {row["method"]: row["course"] for row in rows} == courses
