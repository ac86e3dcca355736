import re
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from autobalance.report.svg import PALETTE, inline_svg


def drawing(text: str = "label") -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.plot([1, 2], [2, 3], "o-", color=PALETTE["accent"])
    axes.text(1, 2.5, text, parse_math=False)
    return figure


def test_is_one_labelled_image_that_refers_to_nothing_outside() -> None:
    svg = inline_svg(drawing, "one", "A title & more", "What it shows")
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    labels = [root.find(f"*[@id='{name}']") for name in root.get("aria-labelledby", "").split()]
    assert [label.text for label in labels if label is not None] == [
        "A title & more",
        "What it shows",
    ]
    assert "://" not in svg


def test_leaves_the_style_of_the_page_alone() -> None:
    svg = inline_svg(drawing, "one", "t", "d")
    assert "<style" not in svg
    assert "font-family" not in svg
    assert "var(--accent)" in svg
    assert PALETTE["accent"] not in svg


def test_every_reference_leads_to_an_id_of_the_same_figure() -> None:
    first, second = (inline_svg(drawing, name, "t", "d") for name in ("one", "two"))
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (first, second)]
    for svg, own in zip((first, second), ids, strict=True):
        references = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
        assert references
        assert set(references) <= set(own)
        assert len(set(own)) == len(own)
    assert not set(ids[0]) & set(ids[1])


def test_text_stays_text_whatever_it_holds() -> None:
    text = 'x$_{1}$ <b> id="q" #1c2530 漢字'
    root = ElementTree.fromstring(inline_svg(lambda: drawing(text), "one", "t", "d"))
    assert text in [element.text for element in root.iter("text")]


def test_settings_of_the_user_do_not_show() -> None:
    plain = inline_svg(drawing, "one", "t", "d")
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "font.size": 30}):
        assert inline_svg(drawing, "one", "t", "d") == plain
