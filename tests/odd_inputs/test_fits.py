"""Odd tables through the whole of ``autobalance fit``: a run that works, or a line and no trace."""

import contextlib
import io

import pytest

from autobalance.cli import main
from autobalance.report import picture
from tests.odd_inputs.kit import REFUSED, USED
from tests.odd_inputs.tables import odd_file


def call(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
    return stop.value.code or 0, err.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fits(tried, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = picture.inline_svg

    def case(rng):
        drawn = rng.random() < 0.15  # pictures take most of the time
        monkeypatch.setattr(picture, "inline_svg", draw if drawn else lambda *_, **__: "<svg></svg>")
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
        code, err = call("fit", path.name, "--target", "y", *options)
        assert "Traceback" not in err
        left = {each.name for each in tmp_path.iterdir()} - {path.name}
        path.unlink()
        if code == 0:
            assert left == {"run"}
            return USED
        assert code == 2
        lines = [line for line in err.splitlines() if line.startswith("autobalance: ")]
        assert len(lines) == 1
        assert err.endswith(f"{lines[0]}\n")
        assert not left - {"run"}  # of an earlier fit
        return REFUSED

    tried("fits", case)
