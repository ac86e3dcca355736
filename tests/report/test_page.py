import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.report import render_report
from autobalance.report.wording import percent, percent_interval, points

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The text of a page, its tables as rows of cells, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._section = ""
        self._cell: list[str] | None = None
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "section":
            self._section = found.get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in {"td", "th"}:
            self._cell = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th"} and self._cell is not None:
            self.rows[self._section][-1].append(" ".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())
            if self._cell is not None:
                self._cell.append(data.strip())

    def row(self, section: str, first: str) -> list[str]:
        (found,) = [row for row in self.rows[section] if row[0] == first]
        return found


def test_the_verdict_comes_first_then_before_and_after_with_intervals(
    make_run: Callable[..., Any],
) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"])
    page = Page(render_report(metrics, design, history))
    before, after = metrics["methods"][1], metrics["methods"][0]
    text = " ".join(page.text)
    places = [
        text.index(said)
        for said in (
            metrics["verdict"].split(". ")[0],
            "Logit adjustment alone would give",
            f"Cross-entropy, before {percent(before['value'])} 95% interval "
            f"{percent_interval(before['interval'])}",
            f"AutoBalance, after {percent(after['value'])} 95% interval "
            f"{percent_interval(after['interval'])}",
            "measured on the 5,794 examples of the test split",
        )
    ]
    assert places == sorted(places)


def test_held_out_folds_are_called_optimistic(make_run: Callable[..., Any]) -> None:
    page = Page(render_report(*make_run(list(range(10)), basis="held-out folds")))
    text = " ".join(page.text)
    assert "so the figure for AutoBalance is optimistic" in text
    assert "test split" not in text


def test_the_comparison_is_sorted_and_shows_every_number(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"])
    ours, worse, better = metrics["methods"][0], metrics["methods"][1], metrics["methods"][4]
    better["value"], better["difference"] = 0.01, {"value": -0.2, "interval": [-0.3, -0.1]}
    metrics["methods"][5]["difference"] = {"value": 0.01, "interval": [-0.02, 0.04]}
    page = Page(render_report(metrics, design, history))
    table = page.rows["comparison"][1:]
    ranked = sorted(metrics["methods"], key=lambda method: method["value"])
    assert [row[0] for row in table] == [f"{m['name']} {m['kind']}" for m in ranked]
    for row, method in zip(table, ranked, strict=True):
        assert row[1] == f"{percent(method['value'])} {percent_interval(method['interval'])}"
    gap = worse["difference"]["value"]
    words = {row[0].rsplit(" ", 1)[0]: row[2:] for row in table}
    assert page.row("comparison", "AutoBalance designed")[2:] == ["–", ""]
    assert words["Cross-entropy closed"][0].startswith(points(gap))
    assert words["Cross-entropy closed"][1] == "worse"
    assert page.row("comparison", "Logit adjustment closed form")[2:] == [
        "−20.0 −30.0 to −10.0",
        "better",
    ]
    assert page.row("comparison", f"{metrics['methods'][5]['name']} closed form")[3] == (
        "no clear difference"
    )
    assert ours["difference"] is None


def test_errors_of_every_cell_before_and_after(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", None], empty=((1, 0),))
    page = Page(render_report(metrics, design, history))
    after, before = metrics["methods"][:2]
    for k, label in enumerate(("no", "yes")):
        for j, group in enumerate(("Female", "missing")):
            row = page.row("errors", f"{label} · {group}")
            examples = f"{design.counts.values[k, j]:,.0f}"
            if (k, j) == (1, 0):
                assert row[1:] == ["–", "–", "–", examples]
                continue
            old, new = before["cell_errors"][k][j], after["cell_errors"][k][j]
            assert row[1] == f"{percent(old)} {percent_interval(before['cell_intervals'][k][j])}"
            assert row[2] == f"{percent(new)} {percent_interval(after['cell_intervals'][k][j])}"
            assert row[3:] == [points(new - old), examples]
    assert "not measured" in page.text
    by_class = page.row("errors", "yes")
    assert by_class[1].startswith(percent(before["class_errors"][1]))


def test_a_class_that_was_never_measured_is_a_dash(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["a", "b", "c"])
    for method in metrics["methods"]:
        for name in ("cell_errors", "cell_intervals"):
            method[name][2] = [None]
        for name in ("class_errors", "class_intervals"):
            method[name][2] = None
    assert Page(render_report(metrics, design, history)).row("errors", "c")[1:4] == ["–"] * 3


def test_the_trade_off_lists_every_objective(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"])
    page = Page(render_report(metrics, design, history))
    after, before = (metrics["methods"][i]["summary"] for i in (0, 1))
    name = "equalized-odds"
    assert page.row("trade-off", "Equalized-odds gap") == [
        "Equalized-odds gap",
        percent(before[name]),
        percent(after[name]),
        points(after[name] - before[name]),
    ]


def test_the_learned_parameters_are_those_of_the_design(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"], ["Female", "Male"])
    page = Page(render_report(metrics, design, history))
    assert page.rows["loss"][0] == ["Class and group", "Examples", "w", "l"]
    for k, label in enumerate(("no", "yes")):
        for j, group in enumerate(("Female", "Male")):
            row = page.row("loss", f"{label} · {group}")
            values = [float(cell.replace("−", "-").replace(",", "")) for cell in row[2:]]
            expected = [design.weight[k, j], design.additive[k, j]]
            np.testing.assert_allclose(values, expected, rtol=0.006)
    assert "δ kept its neutral value everywhere" in " ".join(page.text)


def test_a_search_that_kept_cross_entropy_says_so(make_run: Callable[..., Any]) -> None:
    metrics, design, _ = make_run(["no", "yes"])
    ones, zeros = np.ones((2, 1)), np.zeros((2, 1))
    page = Page(render_report(metrics, LossDesign(design.counts, ones, zeros, ones), []))
    assert "the designed loss is plain cross-entropy" in " ".join(page.text)
    assert "loss" not in page.rows
    assert "search" not in page.rows


def test_what_was_searched_and_how_it_went(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"])
    page = Page(render_report(metrics, design, history))
    text = " ".join(page.text)
    for said in (
        "weight, additive, ridge",
        "cell, 9 free numbers",
        metrics["space"]["reason"],
        "0.560 at the start (balanced), 0.270 at the end",
        "workclass: 963 missing values",
        "time taken 12 s",
        '["id", "name"]',
        "2.13.0",
    ):
        assert said in text
    assert len(page.rows["search"]) == 1 + len(history)


def test_history_may_hold_text_as_read_from_csv(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(["no", "yes"])
    as_text = [{key: str(value) for key, value in row.items()} for row in history]
    assert render_report(metrics, design, as_text) == render_report(metrics, design, history)
    as_text[0]["temperature"] = ""
    assert Page(render_report(metrics, design, as_text)).rows["search"][1][5] == "–"


def test_the_same_inputs_give_the_same_page(make_run: Callable[..., Any]) -> None:
    run = make_run(["no", "yes"], ["Female", "Male"])
    untouched = copy.deepcopy(run[0])
    assert render_report(*run) == render_report(*run)
    assert run[0] == untouched


NASTY = "<script>alert('1')</script>"


def test_text_from_the_users_files_never_becomes_markup(make_run: Callable[..., Any]) -> None:
    metrics, design, history = make_run(
        [NASTY, '"><img src=x onerror=alert(1)>', "$\\frac{x$", "a\x00b\u202e\ud800"],
        [NASTY, "</svg></text>"],
    )
    metrics["data"]["source"] = metrics["data"]["notes"][0] = NASTY
    metrics["verdict"] = f"{NASTY}. Then {NASTY}"
    metrics["space"]["reason"] = metrics["search"]["message"] = NASTY
    metrics["group_columns"] = [NASTY]
    metrics["positive_class"] = NASTY
    metrics["methods"][3]["name"] = NASTY
    metrics["settings"] = {NASTY: NASTY}
    html = render_report(metrics, design, history)
    page = Page(html)
    assert not {"script", "img"} & set(page.tags)
    assert f"{NASTY} · {NASTY}" in page.text
    html.encode("utf-8")


@pytest.mark.parametrize(("K", "G"), [(2, 2), (10, None), (50, 2), (1000, None)])
def test_pages_are_self_contained_and_well_formed(
    make_run: Callable[..., Any], K: int, G: int | None
) -> None:
    groups = None if G is None else [f"g{j}" for j in range(G)]
    html = render_report(*make_run([f"species {k}" for k in range(K)], groups))
    page = Page(html)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 8  # four figures, wide and narrow
    assert page.tags.count("h1") == 1
    assert len(html) < 3_000_000


def test_a_thousand_classes_collapse_into_details_with_the_extremes_outside(
    make_run: Callable[..., Any],
) -> None:
    metrics, design, history = make_run([f"species {k}" for k in range(1000)])
    html = render_report(metrics, design, history)
    page = Page(html)
    after, before = (np.array(metrics["methods"][i]["class_errors"]) for i in (0, 1))
    assert "Table of all 1,000, by class" in page.text
    outside = Page(re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)).rows["errors"]
    assert outside[1][0] == f"species {np.argmin(after - before)}"
    assert len(outside) == 2 * (1 + 5)
    better = int((after < before).sum())
    assert f"{better:,} of 1,000 have a lower error than before" in " ".join(page.text)


def test_damaged_metrics_are_refused_in_one_sentence(make_run: Callable[..., Any]) -> None:
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
