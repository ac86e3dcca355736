import shutil

import pytest

from autobalance.errors import ArtifactError, AutoBalanceError
from autobalance.runs.compare import read_runs, write_comparison


@pytest.fixture
def folders(run_folder, tmp_path):
    """Three runs, two of them in folders of the same name."""
    places = [tmp_path / part for part in ("spring/run", "autumn/run", "other")]
    for place in places:
        place.mkdir(parents=True)
        for name in ("metrics.json", "design.json", "history.csv"):
            shutil.copy(run_folder / name, place)
    return places


def test_runs_are_named_after_their_folders(folders):
    assert [run.name for run in read_runs(folders[1:])] == ["run", "other"]


def test_folders_of_one_name_are_told_apart_by_their_parents(folders, tmp_path):
    names = [run.name for run in read_runs(folders)]
    assert names[:2] == ["spring/run", "autumn/run"]
    assert len(set(names)) == 3


def test_the_page_holds_every_run(folders, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("an older page")
    runs = read_runs(folders)
    write_comparison(runs, path)
    html = path.read_text("utf-8")
    for run in runs:
        assert run.name in html
    assert "3 runs side by side" in html


def test_a_comparison_needs_two_different_runs(folders, tmp_path):
    with pytest.raises(ArtifactError, match="at least two runs"):
        read_runs(folders[:1])
    with pytest.raises(ArtifactError, match="named twice"):
        read_runs([folders[0], folders[2], folders[0].parent / ".." / "spring" / "run"])


def test_a_run_that_cannot_be_read_is_named(folders):
    (folders[1] / "metrics.json").unlink()
    with pytest.raises(AutoBalanceError, match=r"autumn.*metrics\.json"):
        read_runs(folders)


@pytest.mark.parametrize("name", ["metrics.json", "page", "page.html.txt"])
def test_only_pages_are_written(folders, name):
    before = (folders[2] / "metrics.json").read_bytes()
    with pytest.raises(ArtifactError, match=r"end in \.html"):
        write_comparison(read_runs(folders), folders[2] / name)
    assert (folders[2] / "metrics.json").read_bytes() == before
