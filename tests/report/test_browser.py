"""The pages as a reader meets them: in Chromium, at the width of a phone and of a desk."""

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobalance.augmentation.policy import policy_for_images
from autobalance.counts import Counts
from autobalance.report import ComparedRun, render_comparison, render_report
from autobalance.runs.augmented import show_augmented
from autobalance.runs.examples import Examples

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; install it to check the pages"),
]

PHONE, DESK = 390, 1280
LONG = "an extremely long name of a class, of the genus Passer"
RUNS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "two": ((["<=50K", ">50K"], ["Female", "Male"]), {}),
    "ten": ((list(range(10)),), {"kept": "Logit adjustment", "basis": "outer folds"}),
    "letters": (([chr(65 + k) for k in range(26)],), {"kept": "Tuned post-hoc bias"}),
    "cells": (
        ([f"species {k}" for k in range(26)], ["land", "sea"]),
        {"kept": "Logit adjustment", "empty": ((25, 0),)},
    ),
    "thousand": (([f"species {k}" for k in range(1000)],), {"kept": "Logit adjustment"}),
    "odd": (
        ([LONG, "漢字の長い名前がここにある漢字の長い名前", ""], [LONG, "g"]),
        {"kept": "Cross-entropy", "judged": None, "basis": "held-out folds"},
    ),
}
COMPARED = ("two", "odd", "ten")

FIGURES = """() => [...document.querySelectorAll("figure")].map(figure => {
    const shown = [...figure.querySelectorAll("svg")].filter(svg => svg.getClientRects().length);
    const box = element => { const r = element.getBoundingClientRect();
        return {text: element.textContent.trim(), left: r.left, right: r.right, top: r.top,
                bottom: r.bottom, width: r.width, height: r.height}; };
    return shown.map(svg => ({...box(svg), texts: [...svg.querySelectorAll("text")].map(box)}));
})"""


def augmented(counts: Counts) -> dict[str, Any]:
    """What a run writes of a policy on noise."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 9)
    images = rng.integers(0, 256, (18, 3, 8, 8), dtype=np.uint8)
    policy = policy_for_images(2, 1, 3)
    policy = replace(policy, probability=policy.probability * [[[[1.0]]], [[[0.5]]]])
    return show_augmented(policy, counts, Examples(images, y, np.zeros_like(y))).to_plain()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def write_page(
    make_run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Write the page of a run, or the comparison, once and return its path."""
    folder = tmp_path_factory.mktemp("pages")

    @functools.cache
    def write(name: str) -> Path:
        if name == "comparison":
            made = [(each, make_run(*RUNS[each][0], **RUNS[each][1])) for each in COMPARED]
            html = render_comparison([ComparedRun(each, run[0], run[1]) for each, run in made])
        elif name == "augmented":
            run = make_run(["a", LONG])
            html = render_report(*run, augmented(run[1].counts))
        else:
            arguments, options = RUNS[name]
            html = render_report(*make_run(*arguments, **options))
        path = folder / f"{name}.html"
        path.write_text(html, "utf-8")
        return path

    return write


@pytest.fixture
def open_page(browser: Any, write_page: Callable[[str], Path]) -> Iterator[Callable[..., Any]]:
    """Open a page and watch what it complains about and asks for."""
    opened = []

    def call(name: str, width: int, scheme: str = "light") -> Any:
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        address = write_page(name).as_uri()
        page.goto(address)
        opened.append((page, address, complaints))
        return page

    yield call
    for page, address, complaints in opened:
        page.close()
        assert complaints == [address]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_pictures_of_an_augmentation_are_shown_without_a_request(
    open_page: Callable[..., Any], width: int, scheme: str
) -> None:
    page = open_page("augmented", width, scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    for part in ("as they are", "augmented, twice"):
        name = f"8 images of class '{LONG}', {part}"
        shown = page.get_by_role("img", name=name)
        assert shown.evaluate("image => image.complete && image.naturalWidth > 0")
        box = shown.bounding_box()
        assert box["x"] >= 0
        assert 300 <= box["width"] <= width - box["x"]


def collisions(texts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of texts that overlap by more than a pixel."""
    seen = [text for text in texts if text["text"]]
    return [
        (one["text"], other["text"])
        for i, one in enumerate(seen)
        for other in seen[:i]
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 1
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", [*RUNS, "comparison"])
def test_every_figure_is_legible_and_nothing_overflows(
    open_page: Callable[..., Any], name: str, width: int, scheme: str
) -> None:
    page = open_page(name, width, scheme)
    across = "document.scrollingElement.scrollWidth"
    assert page.evaluate(across) <= width
    figures = page.evaluate(FIGURES)
    assert len(figures) == (2 if name == "comparison" else 6 if name in {"ten", "odd"} else 7)
    for drawings in figures:
        (drawing,) = drawings  # one of the wide and the narrow one
        assert drawing["left"] >= 0
        assert drawing["right"] <= width
        assert drawing["width"] >= (300 if width == PHONE else 600)
        assert drawing["height"] >= 60
        texts = drawing["texts"]
        assert texts
        assert min(text["height"] for text in texts if text["text"]) >= 10
        assert min(text["left"] for text in texts) >= 0
        assert max(text["right"] for text in texts) <= width
        assert collisions(texts) == []
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate(across) <= width


def test_dark_pages_are_dark(open_page: Callable[..., Any]) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page("two", DESK, scheme).evaluate(paper) for scheme in ("light", "dark"))
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 50


def test_the_headline_and_the_figures_are_above_the_fold(open_page: Callable[..., Any]) -> None:
    page = open_page("two", DESK)
    for selector in ("h1", ".scores", ".which"):
        assert page.locator(selector).bounding_box()["y"] < 600
    scores = page.locator(".scores > div").all()
    assert len({round(score.bounding_box()["x"]) for score in scores}) == 3
    narrow = open_page("two", PHONE).locator(".scores > div").all()
    assert len({round(score.bounding_box()["x"]) for score in narrow}) == 1


def test_a_keyboard_reaches_links_tables_and_details(open_page: Callable[..., Any]) -> None:
    page = open_page("two", DESK)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the content"
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Evidence"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#evidence"
    details = page.locator("details").first
    assert details.get_attribute("open") is None
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.get_attribute("open") is not None


def test_a_screen_reader_hears_headings_figures_and_tables(open_page: Callable[..., Any]) -> None:
    page = open_page("two", PHONE)
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("heading", level=2).count() == 9
    for role, fewest in (("img", 7), ("table", 4), ("navigation", 1), ("main", 1)):
        assert page.get_by_role(role).count() >= fewest
    assert (
        page.get_by_role("img", name="Errors with Cross-entropy and with AutoBalance").count() == 1
    )
    assert page.get_by_role("table", name="Errors by class and group").count() == 1
    assert page.get_by_role("rowheader", name="<=50K · Female").count() >= 2


@pytest.mark.parametrize("name", ["two", "thousand", "augmented", "comparison"])
def test_pages_can_be_printed(open_page: Callable[..., Any], name: str) -> None:
    page = open_page(name, DESK, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") <= 20
