"""Figure 5 on small data and two λ: the fronts, their hypervolumes and what is claimed."""

from dataclasses import replace

import numpy as np
import pytest

import autobalance.reproduce.groups.figure5 as module
import autobalance.reproduce.groups.fronts as fronts_module
from autobalance.baselines.ce_deo import STRENGTHS
from autobalance.errors import DataError
from autobalance.reproduce.groups.drawing import Front, fronts_figure
from autobalance.reproduce.groups.figure5 import PANELS, REPRODUCTION
from autobalance.reproduce.groups.fronts import FRONTS
from autobalance.reproduce.hypervolume import hypervolume
from autobalance.reproduce.outcome import mean_and_error, with_error
from autobalance.reproduce.pages import png
from autobalance.reproduce.request import Request
from autobalance.runs.watch import Watch

TWO = (0.5, 0.9)


@pytest.fixture(scope="module")
def outcome_of(save_waterbirds, with_few_folds, tmp_path_factory):
    """Outcomes at two λ, on runs that are kept from test to test."""
    folder = tmp_path_factory.mktemp("figure5")
    data_dir = save_waterbirds(folder / "data")

    def make(methods=None, seeds=2):
        request = Request(folder / "out", data_dir=data_dir, methods=methods, seeds=seeds)
        REPRODUCTION.check(request)
        return REPRODUCTION.run(request, Watch())

    with pytest.MonkeyPatch.context() as patch:
        with_few_folds(patch)
        for place in (module, fronts_module):
            patch.setattr(place, "LAMBDAS", TWO)
        narrow = {name: replace(each, low=0.05, high=0.2) for name, each in STRENGTHS.items()}
        patch.setattr(fronts_module, "STRENGTHS", narrow)  # the ratio is fixed anyway
        yield make


def points_of(outcome, front, seed, metric):
    return [
        (row["standard"], row[metric])
        for row in outcome.rows
        if (row["method"], row["seed"]) == (front, seed)
    ]


def test_all_fronts(outcome_of):
    outcome = outcome_of(seeds=1)
    assert outcome.name == "figure5_waterbirds"
    assert outcome.conditions["Values of λ"] == "0, 0.5, 0.9"
    assert len(outcome.rows) == len(FRONTS) * 3
    assert {row["lambda"] for row in outcome.rows} == {0, *TWO}
    (plain,) = [row for row in outcome.rows if (row["method"], row["lambda"]) == ("deo", 0)]
    for metric in PANELS:
        for front in FRONTS:
            volumes = outcome.facts["hypervolume"][metric][front]
            points = points_of(outcome, front, 0, metric)
            assert volumes == pytest.approx([hypervolume(points, (40.0, plain[metric]))])
    (table,) = outcome.tables
    assert [line.cells[0] for line in table.lines] == list(FRONTS.values())
    assert [line.headline for line in table.lines] == [True, False, False, False]
    for line, front in zip(table.lines, FRONTS, strict=True):
        expected = [
            with_error(*mean_and_error(outcome.facts["hypervolume"][metric][front]))
            for metric in PANELS
        ]
        assert list(line.cells[1:]) == expected
    assert "a standard error of 40.0%" in table.notes[0]


def test_at_0_all_regularised_losses_are_the_same_run(outcome_of):
    outcome = outcome_of(("deo", "balanced"), 1)
    at_0 = [row for row in outcome.rows if row["lambda"] == 0]
    assert [row["method"] for row in at_0] == ["deo", "balanced"]
    assert {**at_0[0], "method": ""} == {**at_0[1], "method": ""}


def test_the_claim_is_about_the_best_other_front(outcome_of):
    outcome = outcome_of(("autobalance", "balanced", "group-la"))
    assert len(outcome.checks) == 2
    for check, metric in zip(outcome.checks, PANELS, strict=True):
        volumes = outcome.facts["hypervolume"][metric]
        best = max(("balanced", "group-la"), key=lambda key: np.mean(volumes[key]))
        assert check.passed == (np.mean(volumes["autobalance"]) > np.mean(volumes[best]))
        gap = np.subtract(volumes["autobalance"], volumes[best])
        expected = with_error(*mean_and_error(gap.tolist()), sign="+")
        assert check.found == f"{expected} over {FRONTS[best]}, paired by seed"


@pytest.mark.parametrize("methods", [("deo",), ("autobalance",)])
def test_one_front_alone_claims_nothing(outcome_of, methods):
    outcome = outcome_of(methods, 1)
    assert outcome.checks == ()
    assert {row["method"] for row in outcome.rows} == set(methods)


def test_a_larger_volume_passes_and_a_smaller_one_fails():
    for ours, passed in ((5.0, True), (3.0, False)):
        volumes = {
            metric: {"autobalance": [ours, ours], "deo": [4.0, 4.0], "balanced": [1.0, 1.0]}
            for metric in PANELS
        }
        for check in module._checks(volumes):
            assert check.passed is passed
            assert check.found.endswith(f"over {FRONTS['deo']}, paired by seed")


def test_the_picture_is_drawn_for_wide_and_narrow_screens(outcome_of):
    (picture,) = outcome_of(seeds=1).pictures
    assert picture.name == "fronts"
    for name in FRONTS.values():
        assert name in picture.description
    sizes = []
    for width in (760, 340):
        figure = picture.draw(width)
        axes = figure.axes
        assert len(axes) == len(PANELS)
        sizes.append(figure.get_size_inches())
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == list(FRONTS.values())
        for panel in axes:
            dots = [line for line in panel.lines if line.get_label() in labels]
            assert [len(line.get_xdata()) for line in dots] == [3] * len(FRONTS)
    assert sizes[0][0] > sizes[1][0]
    assert sizes[0][1] < sizes[1][1]
    assert png(picture).startswith(b"\x89PNG")


def test_what_the_first_run_found_is_told_from_its_own_values_of_lambda():
    def runs(error, fairness):
        return [{"standard": error, "balanced": fairness, "deo": fairness}]

    points = {
        "autobalance": {0.0: runs(3.0, 20.0), 0.01: runs(3.0, 10.0), 0.5: runs(9.0, 10.0)},
        "deo": {0.0: runs(3.0, 20.0), 0.01: runs(3.0, 20.0), 0.5: runs(5.0, 10.0)},
    }
    (told,) = module._at_first(points, runs(3.0, 20.0), 23.0)
    # (23 - 9) * 10 against (23 - 5) * 10, and (23 - 3) * 10 with the smallest λ
    ours = f"−40.00 over {FRONTS['deo']}"
    assert told == (
        "With λ from 0.1 on, as it was run first, AutoBalance: "
        f"{ours} (Group-balanced error); {ours} (DEO)."
    )
    assert module._at_first({"deo": points["deo"]}, runs(3.0, 20.0), 23.0) == []


def test_a_panel_ends_at_plain_cross_entropy_and_says_what_lies_above():
    fronts = [
        Front("ours", {"deo": [(3.0, 20.0), (5.0, 10.0)]}, True),
        Front("theirs", {"deo": [(3.0, 20.0), (21.0, 46.4), (22.0, 50.3)]}, False),
    ]
    (axes,) = fronts_figure(fronts, {"deo": "DEO"}, {"deo": 20.0}, 760).axes
    bottom, top = axes.get_ylim()
    assert 9 < bottom < 10
    assert 20 < top < 21
    assert [text.get_text() for text in axes.texts] == ["2 dots above, up to 50%"]
    (axes,) = fronts_figure(fronts[:1], {"deo": "DEO"}, {"deo": 20.0}, 760).axes
    assert len(axes.texts) == 0


def test_an_unknown_front_is_named(outcome_of):
    with pytest.raises(DataError) as error:
        outcome_of(("deo", "madao"))
    assert str(error.value).startswith(
        "--methods: there is no 'madao' here; choose among 'autobalance', "
    )
