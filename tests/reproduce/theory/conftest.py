"""What the tests of the theory share."""

from pathlib import Path

import pytest

from autobalance.reproduce.outcome import Outcome
from autobalance.reproduce.request import Reproduction, Request
from autobalance.runs.watch import Watch


@pytest.fixture
def once(tmp_path: Path):
    """Run a reproduction with one seed."""

    def run(reproduction: Reproduction) -> Outcome:
        request = Request(tmp_path, seeds=1)
        reproduction.check(request)
        return reproduction.run(request, Watch())

    return run
