"""The examples run as they stand, without a download, and print what they promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_compares_losses_on_test_data(example):
    run = subprocess.run(
        [sys.executable, "-W", "error", example],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    errors = [float(error) for error in re.findall(r"balanced test error ([0-9.]+) %", run.stdout)]
    assert len(errors) in (2, 3)
    assert max(errors) < 40
