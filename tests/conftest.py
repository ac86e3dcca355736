"""What every test shares: steady random draws, and real data where it is at hand."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
import torch

DATA_VARIABLE = "AUTOBALANCE_DATA"
Command = Callable[..., tuple[object, str, str]]

# The tests' tensors are small: on a busy machine several threads wait for each other far longer
# than they work.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("data") and not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"needs real data: set {DATA_VARIABLE} to its folder")


@pytest.fixture
def plain_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls as users make them: no annotation is checked before the library's own checks."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line within this process: its exit code, its output, and what it tells."""

    def run(*arguments: object) -> tuple[object, str, str]:
        from autobalance.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def command_on_one_line(command: Command) -> Command:
    """The same, and what it tells has no line breaks, which depend on the width of a terminal."""

    def run(*arguments: object) -> tuple[object, str, str]:
        code, out, err = command(*arguments)
        return code, out, " ".join(err.split())

    return run


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data, for tests marked ``data``."""
    return Path(os.environ[DATA_VARIABLE])
