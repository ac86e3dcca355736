"""Commands in this process, and how they may end."""

import contextlib
import io

import numpy as np
import pandas as pd

from autobalance.cli import main
from tests.odd_inputs.kit import REFUSED, USED

BEGINS = "the work would begin here; nothing else is wrong"
"""What is said in place of doing the work."""


def call(arguments):
    """The exit code and both streams of a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def small_frame():
    """Two classes, two groups and a split."""
    rng = np.random.default_rng(0)
    rare = np.arange(60) % 4 == 0
    return pd.DataFrame(
        {
            "a": rng.normal(size=60) + rare,
            "b": rng.choice(["red", "blue"], 60),
            "place": rng.choice(["land", "sea"], 60),
            "part": np.where(np.arange(60) % 5, "train", "test"),
            "y": np.where(rare, "yes", "no"),
        }
    )


def ended_well(code, out, err):
    """Refused in one line that is ours, or in typer's usage; or done: which of them."""
    assert "Traceback" not in err
    if code == 0:
        return USED
    assert code == 2, (code, err)
    ours = [line for line in err.splitlines() if line.startswith("autobalance: ")]
    if "Usage: " in err + out or err.startswith("Error: "):
        assert not ours
        return "refused by typer"
    assert len(ours) == 1, err
    assert err.endswith(f"{ours[0]}\n")
    return "stopped where work begins" if BEGINS in ours[0] else REFUSED
