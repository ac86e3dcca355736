"""One fitted run on a small table with groups and a split, shared by the tests of its parts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobalance.data.tables import Table
from autobalance.runs.columns import Columns
from autobalance.runs.fit import fit_rows
from autobalance.runs.folder import FinishedRun
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch


def small_frame(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Two classes, two groups, a category and a gap; a fifth of the rows are for testing."""
    rng = np.random.default_rng(seed)
    rare = rng.random(rows) < 0.3
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows) + 1.5 * rare,
            "weight": rng.normal(size=rows),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "place": rng.choice(["land", "sea"], rows, p=[0.7, 0.3]),
            "kind": np.where(rare, "rare", "common"),
            "part": np.where(np.arange(rows) % 5 == 0, "test", "train"),
        }
    )
    frame.loc[3, "weight"] = np.nan
    return frame


COLUMNS = Columns("kind", groups=("place",), split="part")


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return small_frame()


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., pd.DataFrame]:
    return small_frame


@pytest.fixture(scope="session")
def run(frame: pd.DataFrame) -> FinishedRun:
    rows = COLUMNS.rows(Table("small.csv", frame, {}))
    return fit_rows(rows, FitRequest(COLUMNS, verdict=2), Watch())


@pytest.fixture(scope="session")
def run_folder(run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run.write(folder)
    return folder


@pytest.fixture
def table_file(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    frame.to_csv(path, index=False)
    return path


class Listener(Watch):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.shares: list[float | None] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def stage(self, name: str, share: float | None = None) -> None:
        self.shares.append(share)


@pytest.fixture
def listener() -> Listener:
    return Listener()
