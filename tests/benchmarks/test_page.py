"""The results page is what the records say."""

import json

import pytest

from benchmarks.page import networks
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


def test_a_gpu_that_waits_is_on_the_page():
    record = json.loads((page.RESULTS / "training_speed.json").read_text(encoding="utf-8"))
    bound = {"matmul_share": 0.12, "busy_share": 0.34, "bound_by": "the host"}
    text = networks.training_speed(
        record | {"device": "NVIDIA H100", "bounds": {"resnet32": bound}}
    )
    assert "batches of 128 on an NVIDIA H100:" in text
    assert "resnet32: the bare loop is bound by the host (" in text
    assert "a large product: 12%; GPU busy: 34%)" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "+0.0"), (-0.04, "−0.0"), (0.06, "+0.1"), (-1.26, "−1.3")]
)
def test_a_difference_has_its_sign(value, text):
    assert signed(value) == text
