"""The results page is what the records say."""

import json

import pytest

from benchmarks.page import render as page
from benchmarks.page.markdown import signed


def test_the_page_is_written_from_the_records():
    assert page.PAGE.read_text(encoding="utf-8") == page.render(page.RESULTS), (
        "run python -m benchmarks.page"
    )


def test_every_record_is_on_the_page():
    assert {path.stem for path in page.RESULTS.glob("*.json")} == set(page.SECTIONS)


def test_a_figure_of_a_record_reaches_the_page(tmp_path):
    for name in page.SECTIONS:
        record = json.loads((page.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        if name == "verdict":
            record["summary"][0]["claims"] = 98765
        (tmp_path / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    assert "| 98765 |" in page.render(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "+0.0"), (-0.04, "−0.0"), (0.06, "+0.1"), (-1.26, "−1.3")]
)
def test_a_difference_has_its_sign(value, text):
    assert signed(value) == text
