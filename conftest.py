"""The code blocks of the README and of the documentation are tests: they run, page by page.

A page's blocks share one namespace and one empty folder. What a page takes for given (a table of
the reader's, a network, a loader) is set up by an invisible block in its source, from
``docs/stand_ins.py``. A block that cannot run in a test says why in a ``skip: next`` above it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent
LIMIT = 300


def run_in_shell(example: Example) -> None:
    """Run the lines of a block as they stand; the first that fails ends it."""
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example.parsed],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout[-2000:] + outcome.stderr[-4000:]


def enter_folder(namespace: dict[str, Any]) -> None:
    """An empty folder for a page, where its stand-ins can be imported."""
    folder = tempfile.TemporaryDirectory(prefix="page-")
    namespace["_page"] = folder, Path.cwd()
    os.chdir(folder.name)
    sys.path.insert(0, str(ROOT / "docs"))


def leave_folder(namespace: dict[str, Any]) -> None:
    """Back to where the tests run."""
    folder, before = namespace.pop("_page")
    os.chdir(before)
    sys.path.remove(str(ROOT / "docs"))
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="sh", evaluator=run_in_shell),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/start/*.md"],
    excludes=["docs/results.md"],  # commands of hours, whose figures are committed
    setup=enter_folder,
    teardown=leave_folder,
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages are slow: most of them fit something."""
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.slow)
