"""A small table with rare cells, as a case of the benchmark."""

import numpy as np
import pandas as pd
import pytest

from autobalance.data.tables import Table
from benchmarks.tables.cases import Case


def draw(classes=2, rows=400, seed=0):
    """Classes that get rarer, two groups, two informative features and one category."""
    rng = np.random.default_rng(seed)
    share = np.geomspace(1, 0.25, classes)
    y = rng.choice(classes, rows, p=share / share.sum())
    sex = np.where(rng.random(rows) < 0.3 + 0.3 * (y == 0), "f", "m")
    return pd.DataFrame(
        {
            "a": y + rng.normal(size=rows),
            "b": (y == classes - 1) + (sex == "f") + rng.normal(size=rows),
            "sex": sex,
            "kind": y,
        }
    )


@pytest.fixture
def table():
    return Table("toy", draw(), {})


@pytest.fixture
def three_classes():
    return Table("toy", draw(classes=3), {})


@pytest.fixture
def by_class():
    return Case("toy", "kind")


@pytest.fixture
def by_group():
    return Case("toy", "kind", "worst-group", group="sex")
