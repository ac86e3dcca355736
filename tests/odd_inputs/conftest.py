"""What the tests of odd inputs share: calls as users make them, and a count at the end."""

import os
import random
from collections.abc import Callable

import pytest

from tests.odd_inputs.kit import try_all

_PROPERTY = "odd inputs"


@pytest.fixture(autouse=True)
def _as_users_call(plain_calls: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No annotation is checked before the library's own checks, and no test waits for a disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def tried(record_property) -> Callable[[str, Callable[[random.Random], str]], None]:
    """Try all inputs of a kind; what becomes of them is told at the end of the session."""

    def run(kind: str, case: Callable[[random.Random], str]) -> None:
        record_property(_PROPERTY, (kind, dict(try_all(kind, case))))

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each kind, and the sum."""
    reports = terminalreporter.getreports("passed")
    kinds = [
        value for report in reports for name, value in report.user_properties if name == _PROPERTY
    ]
    if not kinds:
        return
    terminalreporter.section("odd inputs")
    for kind, ended in kinds:
        parts = ", ".join(f"{count:,} {how}" for how, count in sorted(ended.items()))
        terminalreporter.line(f"{sum(ended.values()):6,} {kind}: {parts}")
    total = sum(sum(ended.values()) for _, ended in kinds)
    terminalreporter.line(f"{total:6,} in all")
