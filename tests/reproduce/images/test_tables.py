"""Tables 1, 2 and 4 on a few small images: means, paired differences, published figures beside."""

import numpy as np
import pytest

from autobalance.reproduce.images import tables
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.rows import (
    BALANCED,
    HEADLINE,
    LOGIT_ADJUSTED,
    LOSS_ALONE,
    MADAO,
    METHODS,
    PDA,
    PDA_AND_LOSS,
)
from autobalance.reproduce.images.settings import CIFAR10_LT, FASHION_MNIST_LT, RECIPES
from autobalance.reproduce.images.tables import DATASETS, TABLE1, TABLE2, TABLE4, summarised
from autobalance.reproduce.request import PAPER

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
KEYS = ("logit-adjusted-post-hoc", LOGIT_ADJUSTED, HEADLINE)


def row(method, seed, balanced, seconds=1.0):
    return {"method": method, "seed": seed, "balanced": balanced, "seconds": seconds}


ROWS = [
    *(row("ldam", seed, value, 4.0 + seed) for seed, value in enumerate((11.0, 14.0, 12.5))),
    *(row(LOGIT_ADJUSTED, seed, value) for seed, value in enumerate((20.0, 20.0))),
    *(row(HEADLINE, seed, value) for seed, value in enumerate((10.0, 12.0, 11.0))),
]


def test_differences_are_paired_by_seed():
    summary = summarised(ROWS)
    assert list(summary) == ["ldam", LOGIT_ADJUSTED, HEADLINE]
    assert summary["ldam"] == {
        "method": "ldam",
        "kind": "as published",
        "seeds": 3,
        "balanced": 12.5,
        "standard_error": pytest.approx(1.5 / 3**0.5),
        "seconds": 5.0,
        "difference": pytest.approx(1.5),
        "difference_standard_error": pytest.approx(0.5 / 3**0.5),
    }
    assert summary[LOGIT_ADJUSTED]["difference"] == pytest.approx(9.0)  # of the two that both have
    assert summary[LOGIT_ADJUSTED]["difference_standard_error"] == pytest.approx(1.0)
    assert "difference" not in summary[HEADLINE]


def test_one_seed_has_no_error_and_no_headline_no_difference():
    (alone,) = summarised(ROWS[:1]).values()
    assert alone["standard_error"] is None
    assert "difference" not in alone


def test_published_figures_stand_beside_ours():
    table = tables._table("table1", CIFAR10_LT, summarised(ROWS))
    cells = {line.cells[0]: line.cells[1:] for line in table.lines}
    assert cells["LDAM-DRW"] == ("12.50 ± 0.87", "26.37", "+1.50 ± 0.29", "5")
    assert cells["AutoBalance: Δ & l, LA init"] == ("11.00 ± 0.58", "21.15", "", "1")
    assert [line.headline for line in table.lines] == [False, False, True]
    five = tables._table("table4", CIFAR10_LT, summarised(ROWS))
    assert five.lines[0].cells[2] == "26.37 ± 0.33"
    ours = tables._table("table1", FASHION_MNIST_LT, summarised(ROWS))
    assert [line.cells[2] for line in ours.lines] == ["", "", ""]


def test_rows_that_are_another_one_are_run_when_they_are_asked_for():
    every = [key for method in METHODS for key in method.names]
    assert [key for key in every if key not in tables._DEFAULT] == ["balanced-softmax"]


def test_data_sets_and_options():
    assert set(DATASETS) == set(RECIPES[PAPER])
    for reproduction in (TABLE1, TABLE2, TABLE4):
        assert reproduction.datasets == DATASETS
        assert reproduction.datasets[0] == CIFAR10_LT
        assert {"methods", "epochs", "model", "preset", "seeds"} <= set(reproduction.options)


def test_a_table_on_small_images(asked, watch, monkeypatch):
    request = asked(dataset=FASHION_MNIST_LT, methods=KEYS, seeds=2)
    TABLE1.check(request)
    outcome = TABLE1.run(request, watch)
    assert outcome.name == "table1_fashion_mnist_lt"
    assert outcome.title == "Table 1: long-tailed images on Toy-LT"
    assert outcome.conditions["Seeds"] == "2"
    assert outcome.conditions["Data"] == "Toy-LT, 222 training images of 3 classes"
    assert len(outcome.deviations) == 1
    (table,) = outcome.tables
    assert [line.cells[0] for line in table.lines] == [
        "Post-hoc logit adjustment, τ = 1",
        "Logit adjustment, τ = 1",
        "AutoBalance: Δ & l, LA init",
    ]
    assert len(table.columns) == len(table.lines[0].cells)
    found = [(row["method"], row["seed"]) for row in outcome.rows]
    assert found == [(key, seed) for seed in (0, 1) for key in KEYS]
    assert not any("told" in row for row in outcome.rows)
    assert "course" in outcome.rows[2]
    assert [each["method"] for each in outcome.facts["summary"]] == list(KEYS)
    assert any(HEADLINE in sentence for sentence in watch.said)

    # table 4 takes the same runs, and trains no more
    monkeypatch.setattr(ImageLab, "train", None)
    again = TABLE4.run(request, watch)
    assert again.title == "Table 4: long-tailed images, five trials on Toy-LT"
    assert again.rows == outcome.rows


def test_table_1_has_three_seeds_and_table_4_five(asked, watch, monkeypatch):
    counted = []

    def none(job, keys, seeds, *others):
        counted.append((seeds, len(keys)))
        return ROWS

    monkeypatch.setattr(tables, "run_rows", none)
    for reproduction in (TABLE1, TABLE4):
        reproduction.run(asked(dataset=FASHION_MNIST_LT, seeds=None), watch)
    assert counted == [(3, 18), (5, 18)]


def test_table_2_is_run_with_its_own_recipe(asked, watch):
    pytest.importorskip("kornia")
    keys = (BALANCED, "policy", MADAO, PDA, LOSS_ALONE, PDA_AND_LOSS)
    request = asked(dataset=FASHION_MNIST_LT, methods=keys)
    outcome = TABLE2.run(request, watch)
    assert outcome.conditions["Weights"] == "draw examples"
    found = {row["method"]: row.get("design", {}).get("policy") for row in outcome.rows}
    assert set(found) == set(keys)
    assert [found[key] is None for key in keys] == [True, True, False, False, True, False]
    one, personal = (
        [np.array(found[key][name]) for name in ("probability", "magnitude")]
        for key in (MADAO, PDA)
    )
    assert all((values == values[:1]).all() for values in one)
    assert any((values != values[:1]).any() for values in personal)
    assert outcome.checks == ()  # a standard error takes two seeds


def test_who_claims_to_be_ahead_has_to_be_so_by_a_standard_error():
    rows = [
        *(row(MADAO, seed, value) for seed, value in enumerate((11.0, 12.0, 13.0))),
        *(row(PDA, seed, value) for seed, value in enumerate((10.5, 11.0, 13.0))),
        *(row(LOSS_ALONE, seed, value) for seed, value in enumerate((11.0, 12.0))),
        *(row(PDA_AND_LOSS, seed, value) for seed, value in enumerate((10.0, 13.0, 9.0))),
    ]
    first, second = tables._checks(rows, tables._CLAIMS)
    assert first.claim == (
        "AutoBalance: PDA is ahead of MADAO: one policy for all by more than a standard error"
    )
    assert (first.passed, second.passed) == (True, False)
    assert first.found == "+0.50 ± 0.29 points over 3 seeds"
    assert second.found == "+0.00 ± 1.00 points over 2 seeds"
