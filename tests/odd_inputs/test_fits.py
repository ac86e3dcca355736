"""Odd tables through the whole of ``autobalance fit``: a run that works, or a line and no trace."""

import shutil

import pytest

from autobalance.report import picture
from tests.odd_inputs.commands import call, ended_well
from tests.odd_inputs.kit import USED
from tests.odd_inputs.tables import odd_file


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fits(tried, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = picture.inline_svg

    def case(rng):
        drawn = rng.random() < 0.15  # pictures take most of the time
        monkeypatch.setattr(
            picture, "inline_svg", draw if drawn else lambda *_, **__: "<svg></svg>"
        )
        path = odd_file(rng, tmp_path)
        options = ["--verdict", "none", "--cv", "2", "--out", "run"]
        if path.suffix == ".npz":
            options += ["--features", "x"]
        if rng.random() < 0.3:
            options += ["--group", "place", "--empty-cells", rng.choice(("drop", "error"))]
        if rng.random() < 0.4:
            options += ["--split", "part", "--train-on", "train+validation"]
        if rng.random() < 0.3:
            options += ["--objective", rng.choice(("error", "worst-class", "0.5*error+balanced"))]
        ended = ended_well(*call(["fit", path.name, "--target", "y", *options]))
        left = {each.name for each in tmp_path.iterdir()} - {path.name}
        path.unlink()
        assert left == ({"run"} if ended == USED else set())
        shutil.rmtree("run", ignore_errors=True)
        return ended

    tried("fits", case)
