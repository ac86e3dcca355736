"""The whole report: what it says where, and that it needs nothing but itself."""

import copy
import functools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from autobalance import report
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.report import render_report
from autobalance.report.wording import percent, percent_interval, points

NASTY = "<script>alert('1')</script>"


@pytest.fixture(scope="session")
def page_of(make_run: Callable[..., Any], read_page: Callable[[str], Any]) -> Callable[..., Any]:
    """The metrics and the page of a made-up run, each page drawn once."""

    @functools.cache
    def made(classes: tuple[Any, ...], groups: tuple[Any, ...] | None, options: Any) -> Any:
        metrics, design, history = make_run(list(classes), groups and list(groups), **dict(options))
        return metrics, design, history, read_page(render_report(metrics, design, history))

    def call(classes: Any, groups: Any = None, **options: Any) -> Any:
        return made(tuple(classes), groups and tuple(groups), tuple(options.items()))

    return call


def places(text: str, said: list[str]) -> list[int]:
    return [text.index(words) for words in said]


def test_a_reader_sees_verdict_figures_and_evidence_in_this_order(page_of: Any) -> None:
    metrics, _, _, page = page_of(["no", "yes"], ["Female", "Male"])
    before, after = metrics["methods"][1], metrics["methods"][0]
    found = places(
        page.text.replace("\u00a0", " "),
        [
            metrics["verdict"]["headline"],
            metrics["verdict"]["text"],
            f"Cross-entropy, before {percent(before['value'])} 95% interval "
            f"{percent_interval(before['interval'])}",
            f"AutoBalance, kept {percent(after['value'])} 95% interval "
            f"{percent_interval(after['interval'])}",
            "Best of the rest",
            "Kept: AutoBalance. The model in this folder was trained with the designed loss.",
            "worst-group error on the 5,794 examples of the test split",
            "The choice itself was made on the training data alone",
            "Every method ran its whole procedure",
        ],
    )
    assert found == sorted(found)
    assert page.headings[1:] == [
        "Why AutoBalance was kept",
        "The same on the test examples",
        "The designed loss",
        "Errors by class and group",
        "The trade-off",
        "Calibration",
        "The search",
        "The data",
        "Settings and versions",
    ]


def test_a_simpler_method_that_was_kept_is_named_beside_the_designed_loss(page_of: Any) -> None:
    metrics, _, _, page = page_of(["a", "b"], kept="Logit adjustment", basis="outer folds")
    for said in (
        "Kept: Logit adjustment. The model in this folder predicts with it; AutoBalance’s designed",
        "AutoBalance’s loss, not kept",
        "Why Logit adjustment was kept",
        "The kept loss and the designed one",
        "Ridge strength: 0.0130 (Logit adjustment), 0.200 (AutoBalance).",
    ):
        assert said in page.text
    assert "measured" not in page.rows
    assert page.rows["loss"][0][2:] == [
        "w Logit adjustment",
        "w AutoBalance",
        "l Logit adjustment",
        "l AutoBalance",
    ]
    assert page.rows["trade-off"][0] == [
        "Objective",
        "Cross-entropy",
        "Logit adjustment",
        "Change",
        "AutoBalance",
        "Change",
    ]
    assert metrics["kept"] == "Logit adjustment"


def test_plain_cross_entropy_that_was_kept_is_said_to_be(page_of: Any) -> None:
    _, _, _, page = page_of(["a", "b"], kept="Cross-entropy")
    for said in (
        "Cross-entropy, kept",
        "Kept is cross-entropy, where w = 1, l = 0 and δ = 1 everywhere",
        "Cross-entropy was kept all the same",
    ):
        assert said in page.text


def test_without_a_verdict_the_page_says_so_and_calls_folds_flattering(page_of: Any) -> None:
    _, _, _, page = page_of(["a", "b"], judged=None, basis="held-out folds")
    assert "No verdict." in page.text
    assert "the figures flatter whatever was tuned on them" in page.text
    assert "test split" not in page.text
    assert "evidence" not in page.rows
    assert "Compared with known losses" in page.text


def test_the_evidence_shows_every_number(page_of: Any) -> None:
    metrics, _, _, page = page_of(["no", "yes"], ["Female", "Male"])
    for method in metrics["verdict"]["methods"]:
        kept = ", kept" if method["name"] == "AutoBalance" else ""
        row = page.row("evidence", f"{method['name']} {method['kind']}{kept}")
        assert row[1] == f"{percent(method['value'])} {percent_interval(method['interval'])}"
        for cell, difference in zip(
            row[2:4], (method["to_best"], method["difference"]), strict=True
        ):
            if difference is None:
                assert cell == "–"
            else:
                assert cell.startswith(points(difference["value"]))
                assert cell.endswith(points(difference["interval"][1]))
        assert row[4] == str(method["fitted"])


def test_the_test_rows_show_every_number(page_of: Any) -> None:
    metrics, _, _, page = page_of(["no", "yes"], ["Female", "Male"])
    table = page.rows["measured"][1:]
    ranked = sorted(metrics["methods"], key=lambda method: method["value"])
    assert [row[0].startswith(m["name"]) for row, m in zip(table, ranked, strict=True)]
    for row, method in zip(table, ranked, strict=True):
        assert row[1] == f"{percent(method['value'])} {percent_interval(method['interval'])}"


def test_errors_of_cells_carry_intervals_and_changes(
    make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", None], empty=((1, 0),))
    page = read_page(render_report(metrics, design, history))
    after, before = metrics["methods"][:2]
    old, new = before["cell_errors"][0][0], after["cell_errors"][0][0]
    assert page.row("errors", "no · Female")[1:] == [
        f"{percent(old)} {percent_interval(before['cell_intervals'][0][0])}",
        f"{percent(new)} {percent_interval(after['cell_intervals'][0][0])}",
        points(new - old),
        f"{design.counts.values[0, 0]:,.0f}",
    ]
    assert page.row("errors", "yes · Female")[1:4] == ["–"] * 3
    assert "not measured" in page.text
    assert page.row("errors", "yes")[1].startswith(percent(before["class_errors"][1]))


def test_a_class_that_was_never_measured_is_a_dash(
    make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, design, history = make_run(["a", "b", "c"])
    for method in metrics["methods"]:
        for name in ("cell_errors", "cell_intervals"):
            method[name][2] = [None]
        for name in ("class_errors", "class_intervals"):
            method[name][2] = None
    page = read_page(render_report(metrics, design, history))
    assert page.row("errors", "c")[1:4] == ["–"] * 3


def test_the_trade_off_lists_every_objective(page_of: Any) -> None:
    metrics, _, _, page = page_of(["no", "yes"], ["Female", "Male"])
    after, before = (metrics["methods"][i]["summary"]["equalized-odds"] for i in (0, 1))
    assert page.row("trade-off", "Equalized-odds gap") == [
        "Equalized-odds gap",
        percent(before),
        percent(after),
        points(after - before),
    ]


def test_calibration_is_put_in_words_or_left_out(
    page_of: Any, make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, _, _, page = page_of(["no", "yes"], ["Female", "Male"])
    raw = metrics["calibration"]["priors"]["train"]["raw"]["ece"]
    assert (
        "With classes as frequent as in training, the stated probability is off by "
        f"{100 * raw:.1f} points on average" in page.text
    )
    metrics, design, history = make_run(["no", "yes"])
    metrics["calibration"] = None
    page = read_page(render_report(metrics, design, history))
    assert "It was not measured in this run" in page.text
    assert "calibration" not in page.rows


def test_a_loss_that_changes_nothing_is_called_plain(
    make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, design, _ = make_run(["no", "yes"])
    ones, zeros = np.ones((2, 1)), np.zeros((2, 1))
    page = read_page(render_report(metrics, LossDesign(design.counts, ones, zeros, ones), []))
    assert "it is plain cross-entropy but for the ridge" in page.text
    assert "loss" not in page.rows
    assert "search" not in page.rows


def test_what_was_searched_and_how_it_went(page_of: Any) -> None:
    metrics, _, history, page = page_of(["no", "yes"], ["Female", "Male"])
    for said in (
        "weight, additive, ridge",
        "cell, 9 free numbers",
        metrics["space"]["reason"],
        "0.560 at the start (balanced), 0.270 at the end",
        "workclass: 963 missing values",
        "time taken 12 s",
        "drop id, name",
        "2.13.0",
    ):
        assert said in page.text
    assert len(page.rows["search"]) == 1 + len(history)


def test_rows_that_went_ahead_of_the_search_are_said(
    make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"])
    metrics["search"] |= {"scout_rows": 78_123, "scout_evaluations": 17}
    page = read_page(render_report(metrics, design, history))
    assert (
        "after 21 evaluations of 5 folds, which 17 of 78,123 rows that stand for all" in page.text
    )


def test_the_same_inputs_give_the_same_page(make_run: Callable[..., Any]) -> None:
    run = make_run(["no", "yes"], ["Female", "Male"], kept="VS")
    untouched = copy.deepcopy(run[0])
    assert render_report(*run) == render_report(*run)
    assert run[0] == untouched


@pytest.mark.parametrize(
    ("K", "G", "kept"),
    [(2, 2, "AutoBalance"), (10, None, "VS"), (50, 2, "VS"), (1000, None, "AutoBalance")],
)
def test_pages_are_self_contained_and_well_formed(
    page_of: Any, K: int, G: int | None, kept: str
) -> None:
    groups = None if G is None else [f"g{j}" for j in range(G)]
    _, _, _, page = page_of([f"species {k}" for k in range(K)], groups, kept=kept)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", page.html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 14  # seven figures, wide and narrow
    assert page.tags.count("table") == page.tags.count("caption")
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.html) < 3_000_000


def test_a_thousand_classes_collapse_into_details_with_the_extremes_outside(
    page_of: Any, read_page: Callable[[str], Any]
) -> None:
    metrics, _, _, page = page_of([f"species {k}" for k in range(1000)], None, kept="AutoBalance")
    after, before = (np.array(metrics["methods"][i]["class_errors"]) for i in (0, 1))
    assert "Table of all 1,000, by class" in page.text
    outside = read_page(re.sub(r"<details.*?</details>", "", page.html, flags=re.DOTALL))
    assert outside.rows["errors"][1][0] == f"species {np.argmin(after - before)}"
    assert len(outside.rows["errors"]) == 2 * (1 + 5)
    better = int((after < before).sum())
    assert f"{better:,} of 1,000 have a lower error than with cross-entropy" in page.text


def test_text_from_the_users_files_never_becomes_markup(
    make_run: Callable[..., Any], read_page: Callable[[str], Any]
) -> None:
    metrics, design, history = make_run(
        [NASTY, '"><img src=x onerror=alert(1)>', "$\\frac{x$", "a\x00b\u202e\ud800"],
        [NASTY, "</svg></text>"],
        kept="VS",
    )
    metrics["data"]["source"] = metrics["data"]["notes"][0] = NASTY
    metrics["verdict"] |= {"headline": NASTY, "text": NASTY}
    metrics["space"]["reason"] = metrics["search"]["message"] = NASTY
    metrics["group_columns"] = [NASTY]
    metrics["positive_class"] = NASTY
    for methods in (metrics["methods"], metrics["verdict"]["methods"]):
        methods[3]["name"] = methods[3]["kind"] = NASTY
    metrics["kept"] = metrics["verdict"]["recommended"] = metrics["verdict"]["best"] = NASTY
    metrics["settings"] = {NASTY: NASTY}
    html = render_report(metrics, design, history)
    page = read_page(html)
    assert not {"script", "img"} & set(page.tags)
    assert f"{NASTY} · {NASTY}" in page.words
    html.encode("utf-8")


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(st.text(max_size=30), min_size=2, max_size=4, unique=True))
def test_any_labels_can_be_shown(
    make_run: Callable[..., Any], read_page: Callable[[str], Any], labels: list[str]
) -> None:
    html = render_report(*make_run(labels, labels[:2]))
    page = read_page(html)
    html.encode("utf-8")
    assert len(page.rows["loss"]) == 1 + 2 * len(labels)


def damaged(document: Any, draw: Callable[..., Any]) -> Any:
    """The document with one part of it, wherever it is, left out or replaced."""
    values = st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text(max_size=3)
    )
    part = document
    while True:
        key = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if not (isinstance(part[key], (dict, list)) and part[key] and draw(st.integers(0, 3))):
            break
        part = part[key]
    if draw(st.booleans()):
        del part[key]
    else:
        part[key] = draw(st.one_of(values, st.lists(values, max_size=2)))
    return document


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_metrics_make_a_page_or_one_sentence(
    make_run: Callable[..., Any], data: st.DataObject
) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"], kept="VS")
    metrics = damaged(metrics, data.draw)

    def drawn(draw: Callable[[], object], *_: str) -> Markup:
        draw()
        return Markup("<svg></svg>")

    with (
        warnings.catch_warnings(),
        mock.patch("autobalance.report.picture.inline_svg", drawn),
        mock.patch.object(jaxtyping.config, "jaxtyping_disable", True),  # as for users
    ):
        warnings.simplefilter("ignore")  # numbers that no run has
        try:
            render_report(metrics, design, history)
        except ArtifactError as error:
            said = str(error)
        else:
            return
    assert "damaged or incomplete" in said
    assert "\n" not in said


def test_what_is_missing_is_named(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"])
    del metrics["methods"][0]["summary"]
    with pytest.raises(ArtifactError, match=r"damaged or incomplete \(KeyError: 'summary'\)"):
        render_report(metrics, design, history)
    metrics, design, history = make_run(["no", "yes"])
    del metrics["space"]["dictionary"]
    with pytest.raises(ArtifactError, match="dictionary"):
        render_report(metrics, design, history)
    with pytest.raises(ArtifactError, match="objective"):
        render_report(make_run(["no", "yes"])[0], design, [{"evaluation": 1}])


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours by the Web Content Accessibility Guidelines 2.2."""

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    darker, lighter = sorted(luminance(colour) for colour in (first, second))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_marks_stand_out_from_the_paper(scheme: int) -> None:
    css = (Path(report.__file__).parent / "templates" / "page.css").read_text("utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for paper in (colours["paper"], colours["wash"]):
        for text in ("ink", "muted", "accent"):
            assert contrast(colours[text], paper) >= 4.5
        for mark in ("before", "other"):
            assert contrast(colours[mark], paper) >= 3
