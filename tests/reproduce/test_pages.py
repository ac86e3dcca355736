"""The pages of an outcome: what they say, that they escape, and that they need nothing else."""

from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

from PIL import Image

from autobalance.reproduce.pages import conditions_of, file_name, markdown, page, png

RECORD = {
    "command": "autobalance reproduce table9 --out <here>",
    "created": "2025-06-01T12:00:00+00:00",
    "versions": {"python": "3.11.9", "torch": "2.7.0"},
    "hardware": {"processor": "Some CPU", "cores": 2, "torch_threads": 1},
}


class Reader(HTMLParser):
    """Text, tags, and everything that a browser would go and fetch."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.fetched, self.ids = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "href", "xlink:href", "data", "action"):
                self.fetched.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.words.append(data)


def test_the_conditions_end_with_machine_versions_and_command(outcome):
    facts = conditions_of(outcome, RECORD)
    assert list(facts) == ["Data", "Seeds", "Hardware", "Versions", "Command"]
    assert facts["Hardware"] == "Some CPU, 2 cores"
    assert facts["Versions"] == "Python 3.11.9, PyTorch 2.7.0"
    with_gpu = {**RECORD, "hardware": {**RECORD["hardware"], "gpu": "Some GPU"}}
    assert conditions_of(outcome, with_gpu)["Hardware"] == "Some CPU, 2 cores, Some GPU"


def test_the_table_in_markdown(outcome):
    lines = markdown(outcome, RECORD).splitlines()
    at = lines.index("## Errors | in percent")
    assert lines[at + 2 : at + 7] == [
        "| Loss | Error, % | paper |",
        "| --- | ---: | ---: |",
        r"| P(y\|x) <plain> | 12.50 ± 0.25 |  |",
        "| **Ours** | **3.00** | **4.25** |",
        r"| **Ours, \|w\| = 1** | **2.00** |  |",
    ]
    assert lines[at + 8] == "± is the standard error & nothing else."


def test_the_rest_in_markdown(outcome):
    text = markdown(outcome, RECORD)
    parts = text.split("\n\n")
    assert parts[0] == "# Table 9: fairness <of birds>"
    assert parts[1] == "**Not the paper's setting:** fixed features <tiny>; half the birds."
    assert parts[2] == "- pass: error below 5% (3.00)\n- FAIL: gap < 1 (1.30)"
    assert "![Two lines.](table9_birds_front.png)" in parts
    assert "*Lower is <better>.*" in parts
    assert parts[-2] == "## How it was made"
    assert "- Command: autobalance reproduce table9 --out <here>" in parts[-1].splitlines()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_an_outcome_in_the_papers_setting_does_not_say_otherwise(outcome):
    plain = replace(outcome, deviations=(), checks=(), pictures=())
    assert "paper's setting" not in markdown(plain, RECORD)
    assert "the paper’s setting" not in page(plain, RECORD)
    assert "pass:" not in markdown(plain, RECORD)


def test_the_page_says_everything(outcome):
    text = Reader(page(outcome, RECORD)).text
    for words in (
        "Table 9: fairness <of birds>",
        "This is not the paper’s setting",
        "Fixed features <tiny>",
        "Half the birds",
        "Holds: error below 5% (3.00).",
        "Does not hold: gap < 1 (1.30).",
        "P(y|x) <plain>",
        "12.50 ± 0.25",
        "± is the standard error & nothing else.",
        "Lower is <better>.",
        "120 birds & bees",
        "autobalance reproduce table9 --out <here>",
        "2025-06-01",
    ):
        assert words in text


def test_the_page_is_self_contained_and_escapes(outcome):
    html = page(outcome, RECORD)
    found = Reader(html)
    assert all(link.startswith("#") for link in found.fetched)
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert not {"of", "plain", "tiny", "better", "here", "front"} & set(found.tags)
    assert "svg" in found.tags
    assert len(set(found.ids)) == len(found.ids)
    assert "@import" not in html
    assert "url(http" not in html


def test_the_headline_is_marked_in_the_page(outcome):
    html = page(outcome, RECORD)
    assert html.count('<tr class="kept">') == 2
    kept = html.partition('<tr class="kept">')[2].partition("</tr>")[0]
    assert kept == '<th scope="row">Ours</th><td>3.00</td><td>4.25</td>'


def test_a_picture_is_a_png_on_white(outcome):
    (each,) = outcome.pictures
    assert file_name(outcome, each) == "table9_birds_front.png"
    content = png(each)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(BytesIO(content)) as drawn:
        assert drawn.size == (1520, 200)
        assert drawn.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
