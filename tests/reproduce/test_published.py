"""The published figures, against cells of the paper's tables copied by hand."""

import json
from importlib import resources

import pytest

from autobalance.reproduce.groups.rows import PUBLISHED_AS
from autobalance.reproduce.published import published, published_cost, published_text

BY_HAND = {
    ("table1", "cross-entropy", "cifar10-lt"): [30.45],
    ("table1", "ldam", "imagenet-lt"): [54.21],
    ("table1", "logit-adjusted-tau-1", "inaturalist-2018"): [34.06],
    ("table1", "cdt", "cifar10-lt"): [20.73],
    ("table1", "autobalance-tau", "cifar100-lt"): [58.68],
    ("table1", "autobalance-l", "imagenet-lt"): [52.60],
    ("table1", "autobalance-delta", "cifar100-lt"): [58.40],
    ("table1", "autobalance-delta-l-la-init", "inaturalist-2018"): [33.25],
    ("table3", "cross-entropy", "worst"): [43.25],
    ("table3", "ce-blend-ce-deo", "balanced"): [20.06],
    ("table3", "group-dro", "deo"): [6.91],
    ("table3", "autobalance", "balanced"): [15.13],
    ("table4", "cross-entropy", "cifar10-lt"): [30.45, 0.45],
    ("table4", "logit-adjusted-tau-1", "inaturalist-2018"): [34.37, 0.18],
    ("table4", "autobalance-delta-l", "inaturalist-2018"): [33.41, 0.30],
    ("table5", "cross-entropy", "worst"): [46.69, 4.18],
    ("table5", "ce-balanced-groups", "deo"): [20.61, 1.52],
    ("table5", "posthoc-blend-deo", "worst"): [44.13, 9.39],
    ("table5", "autobalance", "balanced"): [15.50, 0.18],
}


@pytest.mark.parametrize(("cell", "figures"), BY_HAND.items(), ids=map(" ".join, BY_HAND))
def test_a_figure_is_the_papers(cell, figures):
    assert published(*cell) == figures


def test_a_figure_as_text():
    assert published_text("table3", "autobalance", "worst") == "30.33"
    assert published_text("table5", "autobalance", "worst") == "30.33 ± 2.47"
    assert published_text("table5", "posthoc-balanced", "deo") == "32.30 ± 1.60"


@pytest.mark.parametrize(
    ("table", "method", "column"),
    [("table3", "dfr", "balanced"), ("table3", "", "balanced"), ("table1", "cdt", "balanced")],
)
def test_what_the_paper_does_not_have_is_empty(table, method, column):
    assert published(table, method, column) is None
    assert published_text(table, method, column) == ""


def test_the_cost_is_that_of_section_b():
    assert published_cost("autobalance") == {"trainings": [4, 5], "cifar10-lt": 21.39}
    assert published_cost("smac") == {"trainings": [10, 20], "cifar10-lt": 22.51}


def test_every_published_row_of_waterbirds_stands_beside_one_of_ours():
    file = resources.files("autobalance.reproduce").joinpath("published.json")
    tables = json.loads(file.read_text(encoding="utf-8"))["tables"]
    for table, rows in PUBLISHED_AS.items():
        assert set(rows.values()) == set(tables[table])


def test_figures_are_errors_in_percent_with_a_standard_error_at_most():
    file = resources.files("autobalance.reproduce").joinpath("published.json")
    tables = json.loads(file.read_text(encoding="utf-8"))["tables"]
    for name, rows in tables.items():
        for figures in (cell for row in rows.values() for cell in row.values()):
            assert len(figures) == (2 if name in ("table4", "table5") else 1)
            assert all(0 < figure < 100 for figure in figures)
