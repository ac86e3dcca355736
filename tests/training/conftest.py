"""Processes that are killed at a chosen moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


class Nursery:
    """Calls functions of a test file in processes of their own; see nursery.py."""

    def __init__(self, process):
        self._process = process

    def _start(self, function, arguments, last):
        line = json.dumps([function.__name__, arguments, last])
        print(line, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def _steps_survived(self):
        """How many steps the call took, or ``None`` if it was killed."""
        word, *steps = self._process.stdout.readline().split()
        if word == "survived":
            assert int(self._process.stdout.readline()) == 0
            return int(steps[0])
        assert int(word) == signal.SIGKILL
        return None

    def complete(self, function, *arguments):
        """How many steps the call takes."""
        self._start(function, arguments, 0)
        return self._steps_survived()

    def kill(self, last, function, *arguments):
        """Kill the call in its ``last`` step; whether it took so many."""
        self._start(function, arguments, last)
        return self._steps_survived() is None

    def kill_after(self, seconds, function, *arguments):
        """Kill the call, which takes for ever, after a time."""
        child = self._start(function, arguments, 0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        assert self._steps_survived() is None


@pytest.fixture(scope="module")
def nursery(request):
    command = [sys.executable, Path(__file__).with_name("nursery.py"), request.path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process)
        process.kill()
