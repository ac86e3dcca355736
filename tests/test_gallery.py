"""The gallery's scripts run offline, print figures and draw a picture; its page shows pictures."""

import importlib
import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "gallery"
SHARED = {"looks", "samples"}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)
LARGEST = 120_000


@pytest.fixture
def load(monkeypatch):
    """A module of the gallery, as Python runs it: its folder comes first on the path."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_errors_and_draws_them(name, load, tmp_path, capsys, monkeypatch):
    script, samples = load(name), load("samples")
    if name == "long_tailed_images":
        digits = samples.images(None)._replace(epochs=10)
        monkeypatch.setattr(samples, "images", lambda data_dir: digits)
        monkeypatch.setattr(script, "SEEDS", (0,))
    if name == "group_fairness":
        monkeypatch.setattr(script, "FAIRNESS", (0.0, 0.5))
        monkeypatch.setattr(script, "CLOSED_FORMS", ("cross-entropy", "group-la"))
    script.main(["--out", str(tmp_path / "picture.png")])
    printed = capsys.readouterr().out
    for loss in ("cross-entropy", "designed"):
        assert re.search(rf"{loss}.*: .*test error \d+\.\d%", printed)
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width == 1400


@pytest.mark.parametrize("height", [0.1, 0.11])
def test_labels_do_not_overlap(height, load):
    placed = load("looks").apart({"a": height, "b": 0.1, "c": 0.5}, 0.04)
    heights = sorted(placed.values())
    assert all(high - low >= 0.04 - 1e-12 for low, high in pairwise(heights))
    assert placed["c"] == 0.5


def test_errors_of_cells_are_those_of_their_rows(load):
    samples = load("samples")
    _, test, _ = samples.birds(None)
    errors = samples.cell_errors(test, test.y)
    assert set(errors.values()) == {(0.0, 0.0)}
    wrong = test.y.copy()
    rows = (test.y == "landbird") & (test.group == "on land")
    wrong[rows] = "waterbird"
    assert samples.cell_errors(test, wrong)["landbird", "on land"] == (1.0, 0.0)


def test_the_page_shows_the_picture_of_every_script():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\((pictures/gallery_[a-z_]+\.png)\)", page)
    assert sorted(pictures) == [f"pictures/gallery_{name}.png" for name in SCRIPTS]
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size < LARGEST
    for name in SCRIPTS:
        assert f"python examples/gallery/{name}.py --data-dir data" in page
